"""Executes one attempt, from `claim` to `finish`, by the runner port alone.

It has no database and no credentials of a store.
"""
