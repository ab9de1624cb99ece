"""Both interfaces over HTTP, as `api` promises them.

Refusals are raised as `errors` says. It repeats what may be repeated, and keeps no state.
"""
