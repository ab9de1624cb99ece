"""Export of a run as one archive, and its import under a fresh id.

Everything is checked before anything is written.
"""
