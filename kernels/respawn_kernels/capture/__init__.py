"""One capture of a namespace: what belongs together, what is known unchanged, what is written and loads.

It does not fork, and does not say when.
"""
