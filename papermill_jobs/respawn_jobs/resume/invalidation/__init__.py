"""Two notebooks as one sequence of steps, and the finished cells that must run again.

The fixed point over footprints gives a result as if the fixed notebook had run from the top.
"""
