"""What makes runs without a person: schedules, dependencies, webhooks, sensors, backfills.

Each trigger event makes one run at most. Executes nothing.
"""
