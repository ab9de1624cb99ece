"""Files between two runs: what the run before changed, left behind or read, and which cells that concerns.

It removes and restores no file.
"""
