"""The notebook of a job that looks for all that is none of its business, and says what it found.

Each cell is text, to be promoted. What the notebook is to look for is filled in by the test, which knows the
names, addresses and secrets; so whatever it does not find is not hidden by a wrong name.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field

_LOOKS = """
import json, os, re, socket, stat, urllib.error, urllib.request
wanted = json.loads({wanted!r})
found = {{"uid": os.getuid(), "host": socket.gethostname(), "variables": sorted(os.environ)}}

def content(path):
    try:
        if not stat.S_ISREG(os.stat(path).st_mode):
            return None
        with open(path, "rb") as file:
            return file.read(1 << 22)
    except OSError:
        return None

found["files"] = [path for path in wanted["files"] if content(path) is not None]

def everything():
    for top, directories, names in os.walk("/"):
        directories[:] = [
            name for name in directories if os.path.join(top, name) not in ("/sys", "/usr", "/opt/respawn")
        ]
        yield from (os.path.join(top, name) for name in names)

secrets = [bytes.fromhex(digits) for digits in wanted["texts"]]
found["texts"], found["suspicious"], tokens = [], [], set()
for path in everything():
    data = content(path)
    if data is None:
        continue
    if any(secret in data for secret in secrets):
        found["texts"].append(path)
    if re.search(r"(cookie_secret|keys\\.json|respawn\\.db|\\.sqlite|\\.sock|kernel-.*\\.json)$", path):
        found["suspicious"].append(path)
    if path.endswith("/environ"):
        tokens |= set(re.findall(rb"(?:JUPYTERHUB_API_TOKEN|JPY_API_TOKEN|RESPAWN_TOKEN)=([^\\0]+)", data))
found["tokens"] = sorted(token.decode() for token in tokens)
sockets = ("/var/run/docker.sock", "/run/podman/podman.sock")
found["sockets"] = [path for path in sockets if os.path.exists(path)]
"""
_CONNECTS = """
found["reached"] = []
for host, port in wanted["ports"]:
    try:
        socket.create_connection((host, port), timeout=2).close()
    except OSError:
        continue
    found["reached"].append([host, port])
"""
_ASKS = """
found["answers"] = {{}}
for address in wanted["addresses"]:
    for token in [*found["tokens"], "guessed"]:
        request = urllib.request.Request(address, headers={{"Authorization": "token " + token}})
        try:
            status = urllib.request.urlopen(request, timeout=20).status
        except urllib.error.HTTPError as error:
            status = error.code
        found["answers"].setdefault(address, []).append(status)
print(json.dumps(found))
"""


@dataclass(frozen=True)
class Wanted:
    """What the job looks for."""

    files: Sequence[str] = ()
    """Paths that it tries to read."""
    texts: Sequence[str] = ()
    """Secrets that it looks for in all files, and in the variables of all processes."""
    ports: Sequence[tuple[str, int]] = ()
    """Hosts and ports that it tries to connect to."""
    addresses: Sequence[str] = ()
    """URLs that it asks for with each token that it finds."""


@dataclass(frozen=True)
class Found:
    """What the job found."""

    uid: int
    host: str
    variables: list[str]
    """Names of the kernel's variables."""
    files: list[str]
    texts: list[str]
    """Files that have one of the secrets."""
    suspicious: list[str]
    """Files by whose names there may be secrets, wherever they are."""
    tokens: list[str]
    """Tokens of the hub in the variables of processes."""
    sockets: list[str]
    reached: list[tuple[str, int]]
    answers: dict[str, list[int]] = field(default_factory=dict)
    """The statuses that an address answered with."""


def cells(wanted: Wanted) -> list[str]:
    """Return the cells of the notebook; the last one prints what was found."""
    # As digits: the notebook is not to find itself.
    hidden = [secret.encode().hex() for secret in wanted.texts]
    text = json.dumps({**asdict(wanted), "texts": hidden})
    return [cell.format(wanted=text) for cell in (_LOOKS, _CONNECTS, _ASKS)]


def found_in(printed: str) -> Found:
    """Return what the notebook has printed."""
    document = json.loads(printed)
    document["reached"] = [(host, port) for host, port in document["reached"]]
    return Found(**document)
