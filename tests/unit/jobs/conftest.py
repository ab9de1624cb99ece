"""The ledger on SQLite."""

from support.ledgers import ada, bob, clock, command, database_kind, failed, ledger, queue, store_url

__all__ = ["ada", "bob", "clock", "command", "database_kind", "failed", "ledger", "queue", "store_url"]
