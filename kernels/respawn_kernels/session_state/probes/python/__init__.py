"""The probes of Python and its standard library.

A change that cannot be restored is named. The order of restoring stands in `session_state.registry`.
"""
