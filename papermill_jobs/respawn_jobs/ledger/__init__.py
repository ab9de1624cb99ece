"""The use cases: what people, runners and the service's loops do with the store, each in one transaction.

`Ledger` is the only name that other parts use. It serves `Service` (for a person, by scopes), `RunnerPort`
(for a runner, by its attempt's token) and what a scheduler and a dispatcher need. It never unpickles and
never executes what a notebook holds.
"""

from __future__ import annotations

from respawn_jobs.ledger.ledger import Ledger

__all__ = ["Ledger"]
