"""Takes secrets out of texts that leave: notices, logs, descriptions of failures.

What looks like a secret goes: credentials and tokens in URLs, headers, keys of clouds and vendors, signed
tokens, PEM blocks, `password=…` in its many spellings; so do values of the process's environment variables
with telling names, and what was handed to `hide`. It errs towards taking too much. A secret that looks like
an ordinary word, in a sentence, is not found.
"""

from __future__ import annotations

import os
import re
from functools import lru_cache
from pathlib import Path
from urllib.parse import unquote, urlsplit

from respawn_kernels.secret_patterns import NAMES, TELLING, VENDORS

GONE = "[secret]"
_SHORTEST = 6
"""Characters of a value that is taken for a secret because of where it comes from."""
_MAX = 200_000
_QUOTED_OR_WORD = r"""(?:\\?"(?:\\.|[^"\\\n])*"?|\\?'(?:\\.|[^'\\\n])*'?|[^\s"',;&)}\]\\]+)"""

_WEBHOOKS = (
    r"hooks\.slack\.com|[\w.-]{1,80}\.webhook\.office\.com|(?:\w{1,20}\.)?discord(?:app)?\.com/api/webhooks"
)
_QUERY = (
    r"token|secret|signature|credential|password|passwd|pwd|api[_-]?key|access[_-]?key(?:id)?"
    r"|\bsig|\bkey|\bcode|\bauth"
)
_NAMED = rf"\b[\w.-]{{0,40}}(?:{TELLING})[\w-]{{0,20}}\\?[\"']?\s{{0,3}}(?:=>|[:=])\s{{0,3}}"
_PATTERNS = tuple(
    (re.compile(pattern, re.DOTALL), replacement)
    for pattern, replacement in (
        (r"-----BEGIN [A-Z0-9 ]{1,40}-----.*?(?:-----END [A-Z0-9 ]{1,40}-----|\Z)", GONE),
        (
            r"(?i)(authorization[\"']?\s*[:=]\s*[\"']?)(?:[a-z0-9_-]{1,20}[ \t]+)?[^\s\"',;]+",
            rf"\1{GONE}",
        ),
        (r"(?i)\b(bearer|basic)\s+[a-z0-9._~+/=-]{8,}", rf"\1 {GONE}"),
        (r"(?i)\b(token)\s+(?=[a-z_.-]{0,80}\d)[a-z0-9._-]{16,}", rf"\1 {GONE}"),
        (r"(?i)\b([a-z][a-z0-9+.-]{0,30}://)[^\s/\"'<>]*@", rf"\1{GONE}@"),
        (rf"(?i)(https?://(?:{_WEBHOOKS})/)[^\s\"'<>]+", rf"\1{GONE}"),
        (rf"(?i)([?&;][\w.%-]{{0,40}}(?:{_QUERY})=)[^&\s\"'<>;]+", rf"\1{GONE}"),
        (r"\b(?:AKIA|ASIA|AROA|AIDA|AGPA|ANPA)[A-Z0-9]{12,}\b", GONE),
        (r"\beyJ[\w-]{5,}\.[\w-]{5,}(?:\.[\w-]*)?", GONE),
        (rf"\b(?:{VENDORS})[\w-]{{16,}}", GONE),
        (rf"(?i)({_NAMED}){_QUOTED_OR_WORD}", rf"\1{GONE}"),
    )
)
_ANSI = re.compile(r"\x1b\[[0-9;?]*[ -/]*[@-~]")
_NOT_SECRET = {"true", "false", "none", "null"}
_hidden: set[str] = set()


def hide(*secrets: str) -> None:
    """Take these values out of every text from now on, in this process; short ones are ignored."""
    _hidden.update(secret for secret in secrets if len(secret) >= _SHORTEST)


def redact(text: str) -> str:
    """Return a text without what looks like a secret; what comes after 200,000 characters is cut off."""
    if len(text) > _MAX:
        text = text[:_MAX] + " […]"
    for secret in _known():
        text = text.replace(secret, GONE)
    for pattern, replacement in _PATTERNS:
        text = pattern.sub(replacement, text)
    return text


def shown(text: str, most: int) -> str:
    """Return one line of text to tell people: without secrets and colours, at most `most` characters."""
    line = " ".join(redact(_ANSI.sub("", text)).split())
    return line if len(line) <= most else f"{line[: most - 1]}…"


def last_line(text: str) -> str:
    """Return the last line that is not blank, without colours; empty when there is none."""
    lines = [line.strip() for line in _ANSI.sub("", text).splitlines() if line.strip()]
    return lines[-1] if lines else ""


def _known() -> list[str]:
    """Return the values that are secret because of where they come from, longest first."""
    found = _of_environment(tuple(os.environ.items())) | _hidden
    return sorted(found, key=len, reverse=True)


@lru_cache(maxsize=4)
def _of_environment(variables: tuple[tuple[str, str], ...]) -> frozenset[str]:
    found = set()
    for name, value in variables:
        if NAMES.search(name):
            found.add(value)
        elif "://" in value and "@" in value:
            found |= _password(value)
    return frozenset(
        value
        for value in found
        if len(value) >= _SHORTEST and value.lower() not in _NOT_SECRET and not _is_path(value)
    )


def _is_path(value: str) -> bool:
    """Return whether a value names a file that holds the secret, rather than being one."""
    return value.startswith("/") and len(value) < 4096 and Path(value).exists()


def _password(url: str) -> set[str]:
    """Return the password of a URL, as it is written and as it is meant."""
    try:
        password = urlsplit(url).password
    except ValueError:
        return set()
    return {password, unquote(password)} if password else set()
