"""Environments as container images: each made from its lock, by one Containerfile.

It promises that an image has the environment that its labels name, with the hash that this machine gives it,
and that nothing is fetched while it is built or while it runs: what it needs is downloaded before, by the
hashes of the locks. It publishes nothing, and starts no container.
"""
