"""One module for each family of types of libraries: how they are taken apart so that sharing survives.

The pickler asks by type; the room holds no state.
"""
