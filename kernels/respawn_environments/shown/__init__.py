"""What people are shown of environments: an overview of those that this machine knows, and an icon for each.

It looks at files and processes alone, and starts nothing.
"""
