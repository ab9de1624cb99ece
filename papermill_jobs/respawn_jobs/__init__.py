"""Jobs, runs and resumes of notebooks. The modules here are the ground: every room may import them."""
