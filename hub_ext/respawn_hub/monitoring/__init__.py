"""What watches over the service: metrics, health, proofs of writes, the hub's life, heads of the audit trail.

Asking never waits for what is asked about; it repairs nothing.
"""
