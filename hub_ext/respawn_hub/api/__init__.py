"""The REST API for people's programs: routes made from the operations of `Service`, and a few by hand.

Routes only translate; every rule is in the ledger.
"""
