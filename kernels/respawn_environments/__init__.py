"""Standardized kernels: a name and a lock become a virtual environment and a kernelspec.

It runs in servers, images and the service, never in the kernel.
"""
