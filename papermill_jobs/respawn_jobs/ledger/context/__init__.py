"""What every use case works with: store, blobs, time, kernels, quotas, and how a row is found for an actor.

It also holds the limits of texts and the ports to the service. It imports no other room of the ledger, and
decides nothing about runs.
"""
