"""Runs of a job beside each other, from what is recorded of them: what differs, and what became of each cell.

It reads records alone: no state of a run is loaded for it.
"""
