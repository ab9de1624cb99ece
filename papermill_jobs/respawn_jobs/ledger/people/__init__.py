"""The ledger as one person sees it: `Service` in-process, by the actor's scopes.

Each call goes to its room; no rule is written here.
"""
