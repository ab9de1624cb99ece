"""What looks like a secret: by the name that it goes by, or by its own form.

It rather finds too much than too little. A secret that looks like an ordinary word, under an ordinary name,
is not found: only a person can know that it is one.
"""

from __future__ import annotations

import re

TELLING = (
    r"passw(?:or)?d|passphrase|passwd|pwd|secret|token|api[_-]?key|access[_-]?key|private[_-]?key|credential"
)
"""Words in the names of secrets; part of a regular expression without regard to case."""
VENDORS = r"gh[pousr]_|github_pat_|glpat-|xox[a-z]-|sk-|pypi-|hf_|dckr_pat_|npm_"
"""How tokens of well-known vendors begin."""
NAMES = re.compile(rf"(?i){TELLING}|_key$|^key$|_dsn$|signature")
"""Finds the name of a secret."""

_MORE_NAMES = re.compile(r"(?i)_(?:pass|pw|pat|pin|sas|auth|cookie)$|connection_?string|webhook")
_ORDINARY_NAMES = re.compile(r"(?i)tokens\b|tokens_|tokeniz")
_ORDINARY = {"", "0", "1", "true", "false", "yes", "no", "on", "off", "none", "null"}
_FORMS = re.compile(
    rf"(?is)-----BEGIN [a-z0-9 ]{{0,40}}(?:PRIVATE|SECRET)"
    rf"|\b[a-z][a-z0-9+.-]{{0,30}}://[^\s/\"'<>@:]*:[^\s/\"'<>@]+@"
    rf"|\b(?:{VENDORS})[\w-]{{16}}|\beyJ[\w-]{{5,500}}\.[\w-]{{5}}|\b(?:AKIA|ASIA)[A-Z0-9]{{12}}"
    rf"|\b(?:bearer|basic)\s{{1,3}}[a-z0-9._~+/=-]{{8}}"
    rf"|(?:{TELLING}|accountkey|[?&;]sig)[\w-]{{0,20}}\s{{0,3}}[=:]\s{{0,3}}[\"']?[^\s\"',;&]{{4}}"
)
_RANDOM = re.compile(r"(?=[^0-9]*[0-9])(?=[^A-Za-z]*[A-Za-z])[A-Za-z0-9+/_=-]{20,}")
_CHANGES = re.compile(
    r"(?<=[0-9])(?=[A-Za-z])|(?<=[A-Za-z])(?=[0-9])|(?<=[a-z])(?=[A-Z])|(?<=[A-Z])(?=[a-z])"
)
_LETTERS_PER_CHANGE = 6
"""Of random letters and digits, the kind changes every second or third time; of words rarely."""
_MAX = 8192
"""Characters of a value that are looked at."""


def looks_secret(name: str, value: str) -> bool:
    """Return whether a value that goes by a name is to be treated as a secret.

    Args:
        name: such as that of an environment variable.
        value: its text.
    """
    if value.strip().lower() in _ORDINARY:
        return False
    if _MORE_NAMES.search(name) or (NAMES.search(name) and not _ORDINARY_NAMES.search(name)):
        return True
    text = value[:_MAX]
    return _FORMS.search(text) is not None or _drawn(text.strip())


def _drawn(text: str) -> bool:
    """Return whether a text looks as if a generator had made it, and not a person."""
    if _RANDOM.fullmatch(text) is None:
        return False
    return len(_CHANGES.findall(text)) >= max(4, len(text) // _LETTERS_PER_CHANGE)
