"""Ways to start a runner for an attempt."""
