"""What runs in the hub's own process: roles, scopes and the managed service for `jupyterhub_config.py`.

The lock by which hub and service find each other is here too. It adds to a configuration and replaces
nothing; it imports no web framework and no database.
"""
