"""A whole Respawn on this machine for one person: `python -m respawn_hub.embedded`, `make up`.

It holds the hub's process and an example job, and imports no other room: it talks to the service as everybody
does.
"""
