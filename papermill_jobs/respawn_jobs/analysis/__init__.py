"""What Python cells read and change, told from their syntax trees: an abstract execution, nothing is run."""
