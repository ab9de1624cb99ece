"""An executed notebook as a page that stands by itself: no script, and nothing that is fetched from anywhere.

nbconvert makes it, of all but small notebooks in a process of its own: it takes seconds for some MiB, and
whatever is in the notebook must cost the service no more than that. A policy in the page itself forbids
scripts and everything from elsewhere; what no policy forbids, such as going to another page, is taken out
of the markup.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import threading
from typing import Any

from respawn_jobs.errors import InvalidInput, Unavailable
from respawn_kernels.sizes import how_large

MAX_SIZE = 32 << 20
"""Bytes of a notebook that is made a page."""
SMALL = 100_000
"""Characters of a notebook that costs less than a process that is started for it."""
_SECONDS = 120.0
_MAX_MEMORY = 4_000_000_000
_AT_ONCE = threading.BoundedSemaphore(2)
_KEPT = ("PATH", "HOME", "LANG", "LC_ALL", "PYTHONPATH", "VIRTUAL_ENV", "TMPDIR", "SYSTEMROOT")
"""Variables that the process is given: none of the service's secrets."""
_SCRIPTED = (
    "application/javascript",
    "application/vnd.jupyter.widget-view+json",
    "text/vnd.mermaid",
)
_SHOWING = (
    "a abbr b blockquote br caption center code col colgroup dd del details div dl dt em figcaption figure "
    "h1 h2 h3 h4 h5 h6 hr i img ins kbd li mark ol p pre q s samp small span strong sub summary sup table "
    "tbody td tfoot th thead tr tt u ul var"
)
"""Elements that only show something."""
_PLAIN = "align border class colspan dir height id lang open rowspan scope style title valign width"
_TAGS = frozenset(_SHOWING.split())
_ATTRIBUTES = {"*": _PLAIN.split(), "a": ["href"], "img": ["src", "alt"], "ol": ["start"]}
_RAW = re.compile(r"<(script|style)\b.*?</\1\s*>", re.IGNORECASE | re.DOTALL)
_TEMPLATE = """{%- extends 'lab/index.html.j2' -%}
{%- block html_head_js -%}
<meta http-equiv="Content-Security-Policy"
  content="default-src 'none'; img-src data:; font-src data:; style-src 'unsafe-inline'; form-action 'none'">
{%- endblock -%}
{%- block jupyter_widgets -%}{%- endblock -%}
{%- block html_head_js_mathjax -%}{%- endblock -%}
{%- block html_head_js_mermaidjs -%}{%- endblock -%}
"""


def page_of(notebook: str, title: str) -> bytes:
    """Return a notebook as a page.

    Args:
        notebook: its text.
        title: of the page.

    Raises:
        InvalidInput: it is too large, or no page can be made of it.
        Unavailable: too many pages are made at this moment.
    """
    if len(notebook) <= SMALL:
        return _small(notebook, title)
    if len(notebook) > MAX_SIZE:
        raise InvalidInput(
            f"this notebook has {how_large(len(notebook))}, and no page is made of more than "
            f"{how_large(MAX_SIZE)}: download the notebook itself"
        )
    sent = json.dumps({"title": title, "notebook": notebook}).encode()
    if not _AT_ONCE.acquire(timeout=_SECONDS):
        raise Unavailable("other notebooks are being made pages; try again in a minute")
    try:
        made = subprocess.run(
            [sys.executable, "-m", "respawn_hub.rendering.export"],
            input=sent,
            capture_output=True,
            timeout=_SECONDS,
            env={name: os.environ[name] for name in _KEPT if name in os.environ},
            check=False,
        )
    except subprocess.TimeoutExpired as error:
        raise InvalidInput("this notebook takes too long to be made a page: download the notebook") from error
    finally:
        _AT_ONCE.release()
    if made.returncode:
        last = made.stderr.decode(errors="replace").strip().rpartition("\n")[2][:300]
        raise InvalidInput(f"no page can be made of this notebook ({last}): download the notebook itself")
    return made.stdout


def _small(notebook: str, title: str) -> bytes:
    try:
        return convert(notebook, title).encode(errors="replace")
    except Exception as error:  # nbconvert raises whatever its filters do for malformed outputs
        raise InvalidInput(
            f"no page can be made of this notebook ({type(error).__name__}: {error}): "
            "download the notebook itself"
        ) from error


def convert(notebook: str, title: str) -> str:
    """Return a notebook's page; see `page_of`, which does it in another process."""
    import nbformat
    from nbconvert import HTMLExporter

    document = nbformat.reads(_without_scripts(notebook), as_version=4)  # type: ignore[no-untyped-call]
    exporter: Any = HTMLExporter(  # type: ignore[no-untyped-call]
        raw_template=_TEMPLATE,
        sanitize_html=True,
        require_js_url="",
        mathjax_url="",
        mermaid_js_url="",
        jquery_url="",
        jupyter_widgets_base_url="",
    )
    exporter.register_filter("clean_html", clean)
    html, _ = exporter.from_notebook_node(document, {"metadata": {"name": title}})
    return str(html)


def clean(html: str) -> str:
    """Return a notebook's markup with the elements and attributes that only show something."""
    import bleach
    from bleach.css_sanitizer import CSSSanitizer

    cleaned: str = bleach.clean(
        _RAW.sub("", html),
        tags=_TAGS,
        attributes=_ATTRIBUTES,
        protocols={"http", "https", "mailto", "data"},
        css_sanitizer=CSSSanitizer(),
        strip=True,
    )
    return cleaned


def _without_scripts(text: str) -> str:
    """Return a notebook whose outputs are shown as what they are without scripts: their text."""
    notebook: dict[str, Any] = json.loads(text)
    notebook.get("metadata", {}).pop("widgets", None)
    for cell in notebook.get("cells", []):
        for output in cell.get("outputs", []):
            for kind in _SCRIPTED:
                output.get("data", {}).pop(kind, None)
    return json.dumps(notebook)


def _main() -> None:
    import resource

    resource.setrlimit(resource.RLIMIT_AS, (_MAX_MEMORY, _MAX_MEMORY))
    asked = json.load(sys.stdin.buffer)
    sys.stdout.buffer.write(convert(asked["notebook"], asked["title"]).encode(errors="replace"))


if __name__ == "__main__":
    _main()
