"""The documents and files by which a kernel and the processes outside it (runner, service, server) speak.

Each imports without IPython, cloudpickle or pandas. The room does no work of its own: it knows neither
captures nor forks.
"""
