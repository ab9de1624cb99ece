"""Notebooks as documents: read, parameterized, compared, numbered, made ready for promotion.

Nothing of a cell is ever executed.
"""
