"""What a probe promises, for our own and for those of libraries (entry point `respawn.session_state`).

It contains no probe.
"""
