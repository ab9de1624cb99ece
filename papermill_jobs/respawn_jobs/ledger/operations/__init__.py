"""What the service's loops and administrators ask of the whole store.

Maintenance, notices, trigger loops, owners, figures, key rotation, verification. No permissions are checked
here, and no rule is made.
"""
