from support.notifying import clock, notifying, notifying_on_sqlite

__all__ = ["clock", "notifying", "notifying_on_sqlite"]
