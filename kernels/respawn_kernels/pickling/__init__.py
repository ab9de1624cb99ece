"""The pickler of a live namespace, and how Python's own kinds of objects are taken apart and made again.

None of the notebook's hooks runs. It knows no library's types.
"""
