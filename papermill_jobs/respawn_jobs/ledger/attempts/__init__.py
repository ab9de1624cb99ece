"""An attempt from its opening to its end: dispatch, leases, its runner's calls, cancellation, retries.

At most one attempt of a run can commit. The room makes no runs.
"""
