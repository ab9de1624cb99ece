"""Whose a namespace is by the hub's identity of each user, and its suspension, move and retirement.

Asks the hub nothing itself: the service hands in the list.
"""
