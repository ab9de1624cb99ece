"""The probes of libraries for numbers, plots and tables.

A change that cannot be restored is named. The order of restoring stands in `session_state.registry`.
"""
