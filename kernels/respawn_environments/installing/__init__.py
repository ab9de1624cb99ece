"""How packages come into a virtual environment: as wheels, or built from source by tools that the lock pins.

It promises that every file that is downloaded has a hash of the lock, and that nothing of a package runs here
before its hash is checked. What it does not do: compare the result with the lock, which a build does.
"""
