"""The loops behind the service: what is due becomes queued, what is queued gets a runner."""
