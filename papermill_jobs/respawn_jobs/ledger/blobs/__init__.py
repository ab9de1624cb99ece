"""Which blobs exist, who holds them, what names them, and their garbage collection.

A blob that a record names is never removed; knows digests, not what they mean.
"""
