"""Respawn without a hub: papermill's engine over a store on this machine.

The rules are the ledger's, the same as on a hub.
"""
