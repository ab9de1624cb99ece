"""respawn_kernels."""
