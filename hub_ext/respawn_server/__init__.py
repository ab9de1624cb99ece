"""respawn_server."""
