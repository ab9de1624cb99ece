"""What the hub does so that users' servers and job servers are containers of a Docker-compatible API.

It promises each user a network of their own, and that no job server starts of an image that cannot be one. It
runs in the hub's own process and needs the extra `containers` (DockerSpawner); nothing else imports it.
"""
