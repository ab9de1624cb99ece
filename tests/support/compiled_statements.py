"""Statements that SQLAlchemy compiled for one test's database, used for those of the tests that follow.

Each test has a database of its own, and SQLAlchemy compiles each statement once for an engine: that took a
fifth of the time of tests that ask a database for little.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
import sqlalchemy
from sqlalchemy import Engine

from respawn_jobs.store import database


@pytest.fixture(scope="session", autouse=True)
def compiled_statements() -> Iterator[None]:
    """Give databases of a kind, in this process, one dialect and one cache of statements."""
    first: dict[str, Engine] = {}

    def create(*given: Any, **options: Any) -> Engine:
        engine = sqlalchemy.create_engine(*given, **options)
        known = first.setdefault(engine.dialect.name, engine)
        if known is not engine:
            # The cache's keys have the dialect itself, so engines with one each share nothing.
            engine.dialect = engine.pool._dialect = known.dialect
            engine._compiled_cache = known._compiled_cache
        return engine

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(database, "create_engine", create)
        yield
