"""The loops behind the service: what is due becomes queued, what is queued gets a runner, what is old goes.

Each tick is small, may fail and is repeated; a loop waits for no request.
"""
