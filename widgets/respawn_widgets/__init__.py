"""respawn_widgets."""
