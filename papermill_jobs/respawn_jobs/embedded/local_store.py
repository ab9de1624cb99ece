"""The embedded store: where it lies on this machine, whose it is, and how it is opened."""

from __future__ import annotations

import getpass
import json
import os
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from sqlalchemy import URL

    from respawn_jobs.access import Actor
    from respawn_jobs.ledger import Ledger


_OFF = ("0", "off", "f", "false", "n", "no")
"""As the service's settings read it."""
_NOT_IN_NAMES = re.compile(r"[^a-z0-9._-]+")


def data_directory() -> Path:
    """Return the embedded store's directory: `RESPAWN_DATA`, or `respawn` in the user's data directory."""
    given = os.environ.get("RESPAWN_DATA")
    if given:
        return Path(given).expanduser().absolute()
    from platformdirs import user_data_dir

    return Path(user_data_dir("respawn", appauthor=False))


def open_store() -> Ledger:
    """Open the embedded store; `RESPAWN_DB_URL` and `RESPAWN_BLOBS_URL` put its parts elsewhere.

    Raises:
        RespawnError: it cannot be opened; the message names what is wrong.
    """
    from respawn_jobs.keyring import Keyring
    from respawn_jobs.ledger import Ledger

    return Ledger.embedded(
        data_directory(),
        db_url=os.environ.get("RESPAWN_DB_URL") or None,
        blobs_url=os.environ.get("RESPAWN_BLOBS_URL") or None,
        keyring=Keyring.of(data_directory()),
        migrates=migrates_on_start(),
    )


def database_url() -> str | URL:
    """Return where the metadata of the embedded store are."""
    from sqlalchemy import URL

    # A URL object, not text: a path may hold characters that mean something in a URL.
    file = data_directory().resolve() / "respawn.db"
    return os.environ.get("RESPAWN_DB_URL") or URL.create("sqlite", database=str(file))


def migrates_on_start() -> bool:
    """Tell whether a store of an older version is migrated when it is opened: `RESPAWN_MIGRATE_ON_START`."""
    return os.environ.get("RESPAWN_MIGRATE_ON_START", "").strip().lower() not in _OFF


def owner() -> Actor:
    """Return the person at this machine, to whom everything in the embedded store belongs."""
    from respawn_jobs.access import Actor

    return Actor.owner(getpass.getuser())


def scratch_name(path: str | Path | None) -> str:
    """Return the name of the scratch job for a notebook that is run without being promoted."""
    stem = Path(path).stem if isinstance(path, str | Path) else ""
    slug = _NOT_IN_NAMES.sub("-", stem.lower()).strip("-._")
    return "~" + (slug[:61].rstrip("-._") or "notebook")


def plain_json(value: Any) -> Any:
    """Return `value` as JSON would bring it back; what JSON does not know (dates, paths) becomes text."""
    return json.loads(json.dumps(value, default=str))
