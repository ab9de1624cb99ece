"""What is wrong in an address is told in plain words: for every page, and every part of it."""

from __future__ import annotations

import html
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from fastapi.routing import APIRoute
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from respawn_hub.app import all_routes
from respawn_jobs.access import Actor
from respawn_jobs.api.service import Promotion, RunRequest
from respawn_jobs.ledger import Ledger
from respawn_jobs.model.validation_errors import in_words
from support.notebooks import notebook, text
from support.runners import PlayedRunner
from support.signed_in import SignedIn, signed_in
from support.sources import PARTS, modules

_BAD = ("abc", "-1", "1.5", "9" * 40, "", "é\u2028<b>", "run-aaaaaaaaaa")
_MACHINE = re.compile(
    r"[Ii]nput should|[Ff]ield required|[Uu]nable to parse|validation error|Value error|got multiple|"
    r"unparsable|JSON decode|type=|\bctx\b|Traceback|invalid literal|not enough values"
)
_KNOWN = {"kind": "user", "owner": "ada", "name": "report", "number": "1", "cell": "0", "index": "0"}


def _flat(router: Any) -> Iterator[APIRoute]:
    for route in router.routes:
        if isinstance(route, APIRoute):
            yield route
        else:
            yield from _flat(route.original_router)


def _pages() -> list[APIRoute]:
    """Return the routes that people open: those that the API's description leaves out, of GET."""
    return [
        route
        for route in _flat(all_routes())
        if "GET" in route.methods and not route.path.startswith(("/api/", "/runner/"))
    ]


def _addresses(route: APIRoute, run: str) -> Iterator[str]:
    """Yield addresses of a page that each have one part wrong, made from what the route declares."""
    known = {**_KNOWN, "run": run}
    filled = {one.alias: known.get(one.alias, "x") for one in route.dependant.path_params}
    parts = re.findall(r"{(\w+)", route.path)
    filled = {part: filled.get(part, known.get(part, "x")) for part in parts}
    asked = [one.alias for one in route.dependant.query_params]
    needed = [one.alias for one in route.dependant.query_params if one.field_info.is_required()]
    path = re.sub(r":\w+}", "}", route.path)
    for bad in _BAD:
        for part in parts:
            yield path.format(**{**filled, part: bad or "%20"}) + "?" + "&".join(f"{n}=1" for n in needed)
        for name in asked:
            others = "&".join(f"{one}=1" for one in needed if one != name)
            yield f"{path.format(**filled)}?{name}={bad}&{others}"
    if needed:
        yield path.format(**filled)


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[SignedIn, str]]:
    data: Path = tmp_path_factory.mktemp("service")
    ledger = Ledger.embedded(data / "data")
    ada = ledger.as_actor(Actor.owner("ada"))
    ada.promote(Promotion(name="report", notebook=text(notebook("a = 1"))))
    runner = PlayedRunner(ledger, ada.run(RunRequest(job="report")).id)
    runner.begin()
    runner.fail(0)
    yield signed_in(ledger, data), runner.run
    ledger.close()


@pytest.mark.long
@pytest.mark.parametrize("route", _pages(), ids=lambda route: route.path)
def test_a_wrong_part_of_an_address_is_told_in_plain_words(
    service: tuple[SignedIn, str], route: APIRoute
) -> None:
    browser, run = service
    for address in _addresses(route, run):
        answer = browser.ask("GET", f"/services/respawn{address}")
        assert answer.status_code < 500 or answer.status_code == 503, address
        if answer.status_code < 400 or "html" not in answer.headers.get("content-type", ""):
            continue
        said = re.search(r'<p class="lead[^>]*>(.*?)</p>', answer.text, re.DOTALL)
        words = html.unescape(said[1] if said else answer.text)
        assert not _MACHINE.search(words), f"{address}: {words[:300]}"
        assert len(words.split()) >= 3, f"{address}: {words[:300]}"


def test_a_version_that_is_no_number_names_the_part_what_stands_there_and_what_to_do(
    service: tuple[SignedIn, str],
) -> None:
    page = service[0].ask("GET", "/services/respawn/jobs/user/ada/report/versions/abc")

    assert page.status_code == 422
    assert "`number` in the address must be a whole number, not “abc”: correct it." in html.unescape(
        page.text
    )


class _Wanted(BaseModel):
    model_config = ConfigDict(extra="forbid")
    count: int = Field(default=1, ge=1, le=10)
    name: str = Field(default="a", max_length=3)
    some: list[int] = Field(default=[], max_length=2)


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"count": "x"}, "`count` must be a whole number"),
        ({"count": 1.5}, "`count` must be a whole number"),
        ({"count": 0}, "`count` must be 1 or more"),
        ({"count": 11}, "`count` must be 10 or less"),
        ({"name": "hunter2-hunter2"}, "`name` must have at most 3 characters"),
        ({"name": 1}, "`name` must be text"),
        ({"some": [1, 2, 3]}, "`some` must have at most 2 items"),
        ({"some": ["a"]}, "`some.0` must be a whole number"),
        ({"other": 1}, "`other` is not known here: leave it out"),
    ],
)
def test_what_a_document_has_wrong_is_named_without_its_value(given: dict[str, Any], words: str) -> None:
    with pytest.raises(ValidationError) as wrong:
        _Wanted.model_validate(given)
    assert in_words(wrong.value.errors()[0], place=False) == words


def test_no_message_repeats_what_pydantic_says() -> None:
    wrong = [
        f"{module.name}, line {number}"
        for part in PARTS
        for module in modules(part)
        if module.name != "respawn_jobs.model.validation_errors"
        for number, line in enumerate(module.path.read_text().splitlines(), 1)
        if re.search(r"\{\w+\[['\"]msg['\"]\]\}", line)
    ]
    assert not wrong
