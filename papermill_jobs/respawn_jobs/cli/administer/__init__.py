"""The commands of the block *Administer*: the store itself, keys, audit, backups, owners, kernels."""
