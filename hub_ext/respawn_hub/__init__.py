"""respawn_hub."""
