"""Runs with their cells, checkpoints, artifacts and parameters: inserted, read, paged, pinned, removed.

It notes their ends in the outbox. It executes nothing and opens no attempt.
"""
