"""What Respawn asks of its machine: private files, whole writes, proof of space, children that die with it.

A killed process leaves nothing behind. The room knows no runs and no jobs.
"""
