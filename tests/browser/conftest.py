"""Browser tests each get a Chromium with a fresh profile."""

from support.browser import chromium, context, page

__all__ = ["chromium", "context", "page"]
