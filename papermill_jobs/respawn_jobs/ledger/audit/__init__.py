"""Who did what: a chain of hashed and signed records, its check, and its heads kept elsewhere.

A record is written in the transaction of what it records; this room never decides what is recorded.
"""
