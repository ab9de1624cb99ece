"""What is decided before the service serves: settings, sharing of an account, sockets, the open store.

It refuses with a message that names the remedy. It starts no loop and knows no request.
"""
