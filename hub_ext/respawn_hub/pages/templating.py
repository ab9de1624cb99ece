"""Pages out of templates: what every page knows, and how times, states and parameters are written."""

from __future__ import annotations

import json
import re
from datetime import UTC, datetime
from functools import cache
from importlib.metadata import version
from pathlib import Path
from typing import Any
from urllib.parse import quote

from fastapi.responses import HTMLResponse, RedirectResponse
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup, escape

from respawn_hub.auth.dependencies import FORM_FIELD, Visitor
from respawn_hub.auth.runtime import Runtime
from respawn_hub.web.headers import POLICY
from respawn_jobs.model.cell_cost import CellCost
from respawn_jobs.model.runs import CellRecord, CellState, Run, RunState
from respawn_jobs.notebook.parameter_values import shortened
from respawn_jobs.redact import GONE
from respawn_kernels.counting import how_many, noun
from respawn_kernels.sizes import how_large

HERE = Path(__file__).parents[1]
_WORD = re.compile(r"[a-z]+(?:'s)?[,:;.!?]?(?:\s|$)")
"""A plain word at the beginning of a message; `static/dom.js` of the JupyterLab extension has the same."""
_WORTH_TELLING = 100 << 10
"""Bytes that a cell read or wrote."""
_BADGES = {
    RunState.QUEUED: ("secondary", "Queued"),
    RunState.RUNNING: ("info", "Running"),
    RunState.SUSPENDED: ("primary", "Suspended"),
    RunState.SUCCEEDED: ("success", "Succeeded"),
    RunState.FAILED: ("danger", "Failed"),
    RunState.TIMED_OUT: ("danger", "Timed out"),
    RunState.CANCELLED: ("secondary", "Cancelled"),
    RunState.LOST: ("warning", "Lost"),
}
_CELL_BADGES = {
    CellState.PENDING: ("secondary", "waiting"),
    CellState.RUNNING: ("info", "running"),
    CellState.EXECUTED: ("success", "done"),
    CellState.REUSED: ("primary", "reused"),
    CellState.FAILED: ("danger", "failed"),
    CellState.SKIPPED: ("secondary", "not run"),
}


def page(
    runtime: Runtime, visitor: Visitor | None, template: str, *, status: int = 200, **context: Any
) -> HTMLResponse:
    """Return a page.

    Args:
        runtime: the running service.
        visitor: who looks; None on pages that need no sign-in.
        template: file name under templates/.
        status: HTTP status.
        context: what the template shows.
    """
    hub = runtime.hub_settings
    html = (
        _environment()
        .get_template(template)
        .render(
            prefix=hub.prefix,
            hub_prefix=hub.hub_pages,
            user=visitor.actor.name if visitor else None,
            form_field=FORM_FIELD,
            form_token=visitor.form_token if visitor else "",
            release=version("jupyterhub-respawn"),
            **context,
        )
    )
    return HTMLResponse(
        html, status_code=status, headers={"Cache-Control": "no-store", "Content-Security-Policy": POLICY}
    )


def see_other(runtime: Runtime, path: str) -> RedirectResponse:
    """Send the browser to a page, given below the service's prefix: after a form, from a former address."""
    return RedirectResponse(f"{runtime.hub_settings.prefix}{path}", status_code=303)


def job_path(ref: str) -> str:
    """Return a job's page, below the service's prefix."""
    return "jobs/" + "/".join(quote(part, safe="@~") for part in ref.split("/"))


def duration(seconds: float | None) -> str:
    """Return a length of time for people."""
    if seconds is None:
        return ""
    if seconds < 10:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    if hours:
        return f"{hours} h {minutes:02d} min"
    return f"{minutes} min {rest:02d} s" if minutes else f"{rest} s"


def moment(when: datetime | None) -> Markup:
    """Return a time that the page's script turns into the reader's own zone."""
    if when is None:
        return Markup("")
    utc = when.astimezone(UTC)
    return Markup('<time datetime="{}">{}</time>').format(
        utc.isoformat(), utc.strftime("%Y-%m-%d %H:%M:%S UTC")
    )


def badge(state: RunState | CellState) -> Markup:
    """Return a state as a coloured word."""
    colour, word = _BADGES[state] if isinstance(state, RunState) else _CELL_BADGES[state]
    return Markup('<span class="badge text-bg-{}">{}</span>').format(colour, word)


def cost(taken: CellCost | None) -> list[tuple[str, str]]:
    """Return what a cell took as short labels and values; few bytes are left out, as each cell has some."""
    if taken is None:
        return []
    found = [("CPU", duration(taken.cpu_seconds)), ("memory", how_large(taken.memory_bytes))]
    moved = (("read", taken.read_bytes), ("wrote", taken.written_bytes))
    return found + [(word, how_large(count)) for word, count in moved if count >= _WORTH_TELLING]


def cell_badge(cell: CellRecord, run: Run) -> Markup:
    """Return a cell's state as a coloured word; a cell that did not fail by itself says what stopped it."""
    if cell.state is CellState.RUNNING and cell.blocked_since is not None:
        return Markup('<span class="badge text-bg-warning">blocked</span>')
    stopped = run.error is not None and run.error.cell == cell.index and cell.state is CellState.FAILED
    if stopped and run.state in (RunState.CANCELLED, RunState.TIMED_OUT, RunState.LOST):
        colour, word = _BADGES[run.state]
        return Markup('<span class="badge text-bg-{}">{}</span>').format(colour, word.lower())
    return badge(cell.state)


def sentence(text: str) -> str:
    """Return a message as a sentence: with a capital letter, and a full stop.

    Only a word is capitalized: an id, a reference, a file or a name in quotes stays as it is written.
    """
    begun = f"{text[:1].upper()}{text[1:]}" if _WORD.match(text) else text
    return f"{begun}{'' if text.endswith(('.', '!', '?')) else '.'}"


def literal(value: Any) -> str:
    """Return a parameter's value on one line."""
    return json.dumps(value, ensure_ascii=False)


def short_literal(value: Any) -> str:
    """Return a parameter's value on one line, cut where it is long; of a secret one that there is one."""
    return GONE if value == GONE else shortened(literal(value))


def highlighted(source: str, language: str) -> Markup:
    """Return source code as escaped HTML with classes for its colours."""
    from pygments import highlight
    from pygments.formatters import HtmlFormatter
    from pygments.lexers import get_lexer_by_name
    from pygments.util import ClassNotFound

    if not language:
        return escape(source)
    try:
        lexer = get_lexer_by_name("ipython3" if language == "python" else language)
    except ClassNotFound:
        try:
            lexer = get_lexer_by_name(language)
        except ClassNotFound:
            return escape(source)
    return Markup(highlight(source, lexer, HtmlFormatter(nowrap=True)))  # noqa: S704 - pygments escapes


@cache
def _environment() -> Environment:
    environment = Environment(
        loader=FileSystemLoader(HERE / "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters.update(
        badge=badge,
        cell_badge=cell_badge,
        cost=cost,
        duration=duration,
        highlighted=highlighted,
        how_large=how_large,
        how_many=how_many,
        job_path=job_path,
        literal=literal,
        moment=moment,
        noun=noun,
        sentence=sentence,
        short_literal=short_literal,
    )
    return environment
