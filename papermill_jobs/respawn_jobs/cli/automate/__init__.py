"""The commands of the block *Automate*: what makes runs without a person, and limits."""
