"""What differs between two runs of a job, from what is recorded of both: code, parameters, kernel, files.

It reads records alone: no state of a run is loaded for it.
"""
