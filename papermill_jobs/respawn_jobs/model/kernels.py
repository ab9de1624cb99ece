"""Kernels as clients of the service see them: which there are, and how that of an attempt was started."""

from __future__ import annotations

from pydantic import Field

from respawn_jobs.model.base import Model

KERNEL_START = "kernel_start"
"""A service that can take it with the outcome of an attempt."""
_MAX_REASON = 500


class Kernel(Model):
    """A kernel that jobs can use."""

    name: str
    """As notebooks and `--kernel` name it."""
    display_name: str
    language: str
    """Lower case, such as `python` or `r`."""


class KernelStart(Model):
    """Whether a kernel was forked from a process with its imports done, or started as Jupyter starts one."""

    warm: bool
    reason: str | None = Field(default=None, max_length=_MAX_REASON)
    """Why it was started plainly; None for a warm one."""

    @classmethod
    def plain(cls, reason: str) -> KernelStart:
        """Return a plain start for a reason of any length."""
        return cls(warm=False, reason=reason[:_MAX_REASON])

    @property
    def sentence(self) -> str:
        """What to tell a person of it."""
        if self.warm:
            return "warm: forked from a process that had its imports done"
        return f"plain: {self.reason}" if self.reason else "plain"
