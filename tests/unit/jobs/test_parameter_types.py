"""Parameters are what their annotations say: declared, checked, typed in and given to the notebook."""

from __future__ import annotations

import json
from typing import Any

import pytest

from respawn_jobs.errors import InvalidInput
from respawn_jobs.model.jobs import Parameter
from respawn_jobs.notebook.document import injected_cell
from respawn_jobs.notebook.injected_values import plain_values, typed_source
from respawn_jobs.notebook.parameter_values import check, parse
from respawn_jobs.notebook.parameterization import parameterize
from respawn_jobs.notebook.parameters import inspect, kinds
from support.notebooks import notebook

IMPORTS = """\
import datetime
import datetime as dt
import typing as t
from datetime import date
from decimal import Decimal
from enum import Enum
from pathlib import Path
from typing import Annotated, Literal, Optional

class Colour(Enum):
    RED = "red"
    BLUE = "blue"
"""


def with_imports(source: str):
    """Return a notebook whose `parameters` cell follows a cell of imports."""
    nb = notebook(IMPORTS, parameters=source)
    nb.cells.reverse()
    return nb


def declared(source: str) -> Parameter:
    return inspect(with_imports(source), "python3", "python")[-1]


def given(source: str, text: str) -> Any:
    """Return what the notebook has for `text`, as typed into a form or behind `-p`."""
    nb = with_imports(source)
    found = inspect(nb, "python3", "python")
    name = found[-1].name
    values = check(found, {name: parse(found, name, text)})
    done = parameterize(nb, json.loads(json.dumps(values)), "python3", "python")
    names: dict[str, Any] = {}
    for cell in done.cells:
        exec(cell.source, names)
    return names[name]


GIVEN = [
    ("x: int = 1", "5", "5"),
    ("x: float = 1.5", "2", "2.0"),
    ("x: float = 1.5", "-2", "-2.0"),
    ("x: str = 'a'", "5", "'5'"),
    ("x: bool = False", "true", "True"),
    ("x: Literal['eu', 'us'] = 'eu'", "us", "'us'"),
    ("x: t.Literal[1, 2] = 1", "2", "2"),
    ("x: Literal['1', 1] = 1", "1", "'1'"),
    ("x: Literal['a', None] = 'a'", "None", "None"),
    ("x: date = date(2026, 1, 1)", "2026-01-31", "datetime.date(2026, 1, 31)"),
    ("x: dt.date", "2026-01-31", "datetime.date(2026, 1, 31)"),
    ("x: 'date' = None", "2026-01-31", "datetime.date(2026, 1, 31)"),
    ("x = date(2026, 1, 1)", "2026-01-31", "datetime.date(2026, 1, 31)"),
    ("x = dt.date.today()", "2026-01-31", "datetime.date(2026, 1, 31)"),
    ("x: dt.datetime | None = None", "2026-01-31T06:00", "datetime.datetime(2026, 1, 31, 6, 0)"),
    ("x: dt.datetime | None = None", "none", "None"),
    ("x: datetime.time = datetime.time(6)", "07:30", "datetime.time(7, 30)"),
    ("x: Decimal = Decimal('1')", "0.10", "Decimal('0.10')"),
    ("x: Path = Path('data')", "other", "PosixPath('other')"),
    ("x: Colour = Colour.RED", "blue", "<Colour.BLUE: 'blue'>"),
    ("x: Annotated[date, 'day'] = date(2026, 1, 1)", "2026-01-31", "datetime.date(2026, 1, 31)"),
    ("x: list[int] = [1]", "[2, 3]", "[2, 3]"),
    ("x: list[float] = [1.0]", "[2, 3]", "[2.0, 3.0]"),
    ("x: list[date] = []", '["2026-01-31"]', "[datetime.date(2026, 1, 31)]"),
    ("x: tuple[int, ...] = (1,)", "[2, 3]", "(2, 3)"),
    ("x: set[str] = set()", '["a"]', "{'a'}"),
    ("x: set[str] = {'a'}", "[]", "set()"),
    ("x: dict[str, int] = {}", '{"a": 1}', "{'a': 1}"),
    ("x: Optional[str] = 'a'", "None", "None"),
    ("x: Optional[str] = 'a'", "Nonesuch", "'Nonesuch'"),
    ("x: str = 'a'", "None", "'None'"),
    ("x: date = '2026-01-01'", "2026-01-31", "'2026-01-31'"),
    ("date: Optional[date] = None", "2026-01-31", "datetime.date(2026, 1, 31)"),
]


@pytest.mark.parametrize(("source", "text", "has"), GIVEN)
def test_the_notebook_gets_what_its_annotation_says(source, text, has):
    assert repr(given(source, text)) == has


@pytest.mark.parametrize(("source", "text", "has"), GIVEN)
def test_what_was_given_is_read_back_from_the_cell_that_gives_it(source, text, has):
    nb = with_imports(source)
    found = inspect(nb, "python3", "python")
    name = found[-1].name
    values = json.loads(json.dumps(check(found, {name: parse(found, name, text)})))
    done = parameterize(nb, values, "python3", "python")
    assert plain_values(injected_cell(done).source, kinds(done)) == values


@pytest.mark.parametrize(
    ("source", "value", "says"),
    [
        ("x: Literal['eu', 'us'] = 'eu'", "asia", 'expected one of eu, us, got str "asia"'),
        ("x: Literal[1, 2] = 1", "3", "expected one of 1, 2"),
        ("x: Optional[Literal[1, 2]] = 1", "3", "expected one of 1, 2, or None"),
        ("x: Colour = Colour.RED", "green", "expected one of red, blue"),
        ("x: date = date(2026, 1, 1)", "2026-02-30", "expected a date such as 2026-01-31"),
        ("x: date = date(2026, 1, 1)", "tomorrow", "expected a date such as"),
        ("x: dt.datetime = dt.datetime(2026, 1, 1)", "noon", "expected a date and time such as"),
        ("x: Decimal = Decimal('1')", "one", "expected a number"),
        ("x: list[int] = []", '[1, "2"]', "'x', item 1: expected int, got str"),
        ("x: list[date] = []", '["soon"]', "item 0: expected a date such as"),
        ("x: str = 'a'", None, "expected str, got None"),
    ],
)
def test_what_does_not_fit_is_refused_naming_what_would(source, value, says):
    found = inspect(with_imports(source), "python3", "python")
    with pytest.raises(InvalidInput, match="'x'") as refused:
        check(found, {"x": parse(found, "x", value) if isinstance(value, str) else value})
    assert says in refused.value.message


@pytest.mark.parametrize(
    ("source", "default"),
    [
        ("x: date = date(2026, 1, 31)", "2026-01-31"),
        ("x = dt.datetime(2026, 1, 31, 6)", "2026-01-31T06:00:00"),
        ("x: date = date.fromisoformat('2026-01-31')", "2026-01-31"),
        ("x: Decimal = Decimal('1.50')", "1.50"),
        ("x: Path = Path('data', 'in')", "data/in"),
        ("x: Colour = Colour.BLUE", "blue"),
        ("x: date = date.today()", None),
    ],
)
def test_a_default_that_is_written_out_is_told_as_it_is_typed_in(source, default):
    assert declared(source).default == default
    assert not declared(source).required


def test_a_name_that_the_notebook_binds_to_something_else_is_no_date():
    nb = notebook(parameters="class date: pass\nx: date = None\ny: Literal[date.a] = None")
    assert [one.type for one in inspect(nb, "python3", "python")] == [None, None]
    nb = notebook("from my_company import date", parameters="x: date = date('Q1')")
    nb.cells.reverse()
    assert inspect(nb, "python3", "python")[0].type is None


def test_a_value_that_does_not_fit_stays_what_papermill_wrote():
    nb = with_imports("x: date = date(2026, 1, 1)\ny: int = 1")
    source = '# Parameters\nx = "soon"\ny = 2\n'
    assert typed_source(source, kinds(nb)) == source


@pytest.mark.parametrize(
    "name", ["password", "db_password", "dbPassword", "API_KEY", "token", "aws_secret_access_key"]
)
def test_a_telling_name_is_secret(name):
    found = declared(f"{name}: str = 'hunter2'")
    assert found.secret
    assert "hunter2" not in found.model_dump_json()


@pytest.mark.parametrize(
    "source",
    [
        "max_tokens: int = 5",
        "token: int = 5",
        "password_file: str = 'a'",
        "tokenizer = 'a'",
        "sort_key = 'a'",
        "token = 'a'  # respawn:not-secret",
        "passwords_checked = True",
    ],
)
def test_other_names_are_not_secret(source):
    assert not declared(source).secret


def test_a_comment_makes_a_parameter_secret():
    found = declared("account: str = 'hunter2'  # number of the account, respawn:secret")
    assert (found.secret, found.help) == (True, "number of the account,")
    with pytest.raises(InvalidInput) as refused:
        check([found], {"account": 12345678})
    assert "12345678" not in json.dumps(refused.value.as_dict())


@pytest.mark.parametrize(
    "shape",
    [
        "Literal[" + "1," * 30_000 + "]",
        "Optional[" * 90 + "int" + "]" * 90,
        "int" + "|int" * 20_000,
        "t." * 20_000 + "date",
    ],
)
def test_a_hostile_annotation_is_read_or_ignored(shape):
    assert len(inspect(with_imports(f"x: {shape} = None"), "python3", "python")) <= 1
