"""Respawn's own probes, family by family; `registry` lists them."""
