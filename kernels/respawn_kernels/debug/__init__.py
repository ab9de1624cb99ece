"""`%respawn`: a run's state in the kernel that debugs it, shown, saved, compared."""
