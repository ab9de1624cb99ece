"""What a handler is given with its request: who asks, their session and form, the running service.

It refuses before a body is read. It decides no rights: the ledger does.
"""
