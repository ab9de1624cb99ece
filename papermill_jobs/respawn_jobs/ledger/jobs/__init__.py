"""Jobs and their immutable versions: promotion and what it must ask, comparisons, settings and limits.

Makes no runs; archives and removes nothing (`job_life` does).
"""
