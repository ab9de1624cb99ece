"""The way back of a checkpoint: at once for a run, lazily for a person.

Variables that fail are named, and the rest comes back.
"""
