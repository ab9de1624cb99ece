"""The process and the IPython shell in which the code is a guest: streams, results, directory, forks.

It leaves them as the notebook sees them, and stores nothing.
"""
