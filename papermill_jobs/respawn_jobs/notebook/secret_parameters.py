"""Parameters whose values nobody is shown: which they are, and texts and documents without them.

The values themselves are kept with what gives them (a run, a schedule), because a later attempt needs them,
and in the states that a run stores.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Mapping
from typing import TYPE_CHECKING, Any

from respawn_jobs.redact import GONE

if TYPE_CHECKING:
    from respawn_jobs.model.jobs import Parameter

MARKS = re.compile(r"\brespawn:(?:not-)?secret\b")
_WORD_BEGINS = re.compile(r"(?<=[a-z0-9])(?=[A-Z])")
_NAME = re.compile(
    r"(?:^|_)(?:pass(?:word|wd|phrase)?|pwd|secret|token|credentials?|dsn"
    r"|(?:api|access|private|secret|auth|encryption|signing)_?key)\d*(?:_(?:value|text|str))?$"
)
_NEVER = {"int", "float", "bool", "date", "datetime", "time", "decimal", "path"}


def is_secret(name: str, kind: str | None, comment: str = "") -> bool:
    """Return whether a parameter is secret: by its comment, else by its name.

    Args:
        name: The parameter's.
        kind: Its type; a number called `token` is none.
        comment: What stands beside it: `respawn:secret` or `respawn:not-secret` decide.
    """
    mark = MARKS.search(comment)
    if mark is not None:
        return mark[0] == "respawn:secret"
    return kind not in _NEVER and _NAME.search(_WORD_BEGINS.sub("_", name).lower()) is not None


def secret_names(declared: Iterable[Parameter | Mapping[str, Any]], given: Iterable[str] = ()) -> set[str]:
    """Return the names of secret parameters: those declared so, and of `given` what is not declared."""
    known: dict[str, bool] = {}
    for one in declared:
        if isinstance(one, Mapping):
            name, kind = str(one.get("name")), one.get("type")
            known[name] = bool(one.get("secret", is_secret(name, kind)))
        else:
            known[one.name] = one.secret
    return {name for name, secret in known.items() if secret} | {
        name for name in given if name not in known and is_secret(name, None)
    }


def masked(values: Mapping[str, Any], secrets: Collection[str]) -> dict[str, Any]:
    """Return values as they are shown: of those that are secret only that there is one."""
    return {name: GONE if name in secrets and value is not None else value for name, value in values.items()}
