"""A runner's hand on one kernel: its process, its agent, its messages, its held child, what its cells cost.

It knows no attempts and no service.
"""
