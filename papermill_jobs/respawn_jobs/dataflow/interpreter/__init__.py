"""The abstract execution of Python cells: regions of objects that may share (region-based alias analysis).

It over-approximates, and never runs code.
"""
