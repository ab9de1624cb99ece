"""The probes of what the IPython shell keeps.

A change that cannot be restored is named. The order of restoring stands in `session_state.registry`.
"""
