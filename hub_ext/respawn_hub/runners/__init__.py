"""The runner protocol over HTTP, and the process that answers it alone.

A runner is heard whatever people ask; it authenticates attempts by their tokens and knows no person.
"""
