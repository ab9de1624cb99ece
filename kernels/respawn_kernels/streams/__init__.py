"""One group's stream: written within a time limit, read, compared, loaded in part.

It does not decide what belongs in a group.
"""
