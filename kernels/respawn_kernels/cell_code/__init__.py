"""What the source of a cell says: the names that it mentions, its write set, its commands.

Nothing is executed. What cannot be found out counts as everything.
"""
