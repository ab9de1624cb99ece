"""The commands of the block *Run*: promote, run, look at runs, versions and artifacts."""
