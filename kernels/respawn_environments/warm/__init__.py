"""Warm kernels: a process that has its imports behind it, and becomes a kernel by a fork.

It promises that a kernel which comes from it differs from one that was started plainly in nothing that a
notebook can ask for, but its command line and what is imported already; and that whoever asks gets an answer
when it cannot be so, and starts plainly.
"""
