"""Respawn's own probes, family by family; `session_state.registry` lists them."""
