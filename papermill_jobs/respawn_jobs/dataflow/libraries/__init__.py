"""Tables of what Python's own functions and common libraries read, write and leave alone.

What stands in no table is taken to do everything.
"""
