"""The ledger on SQLite and on PostgreSQL."""

from support.ledgers import (
    ada,
    bob,
    clock,
    database_kind,
    failed,
    ledger,
    pytest_generate_tests,
    queue,
    store_url,
)

__all__ = [
    "ada",
    "bob",
    "clock",
    "database_kind",
    "failed",
    "ledger",
    "pytest_generate_tests",
    "queue",
    "store_url",
]
