"""What Respawn asks of its machine: private files, whole writes, proof of space, limits for processes.

A killed process leaves nothing half written. The room knows no runs and no jobs.
"""
