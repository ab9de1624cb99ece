"""respawn."""
