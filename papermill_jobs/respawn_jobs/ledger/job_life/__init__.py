"""What happens to a job after its promotion: current version, rename, archive, restore, removal.

Refuses while runs are open; blobs go later, by `blobs`.
"""
