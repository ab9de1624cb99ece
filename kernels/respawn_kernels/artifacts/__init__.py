"""`respawn.save` and `respawn.load`: whole files in formats that other tools read.

It uploads nothing; the runner does.
"""
