"""Whom to notify of failures, recoveries, missed deadlines and suspended namespaces.

Delivery is at least once, by the service; the room sends nothing itself.
"""
