"""respawn_jobs."""
