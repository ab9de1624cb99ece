"""What an object is, in words and by value, found without running the notebook's code.

It changes no object.
"""
