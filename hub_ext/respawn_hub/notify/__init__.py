"""People are notified of ended runs and missed deadlines over channels, at least once.

Which notices exist is the ledger's; this room only words and sends them.
"""
