"""What may start now: limits of concurrency, replicas, suspended or archived work, and why a run waits.

It reports and refuses; it starts nothing.
"""
