"""Bytes by their BLAKE3 digest, on files or in an object store, and what is made of them.

Writes are whole or absent, and reads are checked. Who may read is the ledger's to say.
"""
