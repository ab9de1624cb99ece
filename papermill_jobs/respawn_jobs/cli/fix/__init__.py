"""The commands of the block *Fix*: open a failed run, and go on from it, restart or retry it."""
