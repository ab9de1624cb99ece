"""What is particular to PostgreSQL: how long anything may take, and what a transaction sees.

A replica whose machine vanishes, or that stops in the middle of a transaction, must not keep its locks: the
server ends such a session after a minute.
"""

from __future__ import annotations

from typing import Any

from sqlalchemy import URL, Engine, event

NO_SUCH_TABLE = "42P01"

ENGINE: dict[str, Any] = {"pool_pre_ping": True, "pool_size": 10, "max_overflow": 30}
"""Up to 40 connections for each process; a server takes 100 unless it is configured otherwise."""
READS: dict[str, Any] = {"isolation_level": "REPEATABLE READ", "postgresql_readonly": True}
WRITES: dict[str, Any] = {}

_CONNECTION = {
    "connect_timeout": "5",
    "keepalives_idle": "15",
    "keepalives_interval": "5",
    "keepalives_count": "3",
    "tcp_user_timeout": "30000",
    "application_name": "respawn",
}
"""How libpq connects, and how soon it gives a silent server up (seconds; the user timeout milliseconds)."""
_SESSION = {
    "lock_timeout": "30s",
    "idle_in_transaction_session_timeout": "60s",
    "tcp_keepalives_idle": "30",
    "tcp_keepalives_interval": "10",
    "tcp_keepalives_count": "3",
}


def completed(url: URL) -> URL:
    """Return the URL with the waits that it does not set itself."""
    return url.update_query_dict(
        {name: value for name, value in _CONNECTION.items() if name not in url.query}
    )


def listen(engine: Engine) -> None:
    """Set up each connection."""
    event.listen(engine, "connect", _configure)


def _configure(connection: Any, _record: Any) -> None:
    # SET and not startup options, which connection poolers refuse.
    settings = "; ".join(f"SET {name} = '{value}'" for name, value in _SESSION.items())
    connection.execute(settings)
    connection.commit()
