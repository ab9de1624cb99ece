"""A failed run as a notebook to open, with its state and artifacts fetched beside it.

It unpickles nothing: the kernel does.
"""
