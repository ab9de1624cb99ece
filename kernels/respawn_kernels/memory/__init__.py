"""Whose memory an object of a C library lies in, and whether others share it.

It only reports that; `reducers` acts on it.
"""
