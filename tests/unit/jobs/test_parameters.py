import json
import time

import pytest
from nbformat import v4

from respawn_jobs.errors import InvalidInput
from respawn_jobs.notebook.parameter_values import check, check_json, parse
from respawn_jobs.notebook.parameters import inspect
from support.notebooks import notebook

CELL = '''\
rows: int = 100  # how many rows
rate = 0.5
name = "x=y"  # said twice = twice
flag = True
columns = ["a", "b"]
options: dict = {
    "a": 1,  # inside
    "b": 2,
}
limit: float | None = None
budget: Optional[int] = 5
region: str
day: str = None
anything = None
computed = rows * 2
'''  # fmt: skip


def declared(source: str = CELL):
    return {p.name: p for p in inspect(notebook(parameters=source), "python3", "python")}


@pytest.mark.parametrize(
    ("name", "kind", "default", "required"),
    [
        ("rows", "int", 100, False),
        ("rate", "float", 0.5, False),
        ("name", "str", "x=y", False),
        ("flag", "bool", True, False),
        ("columns", "list", ["a", "b"], False),
        ("options", "dict", {"a": 1, "b": 2}, False),
        ("limit", "float", None, False),
        ("budget", "int", 5, False),
        ("region", "str", None, True),
        ("day", "str", None, True),
        ("anything", None, None, False),
        ("computed", None, None, False),
    ],
)
def test_types_defaults_and_needs_are_read_from_the_cell(name, kind, default, required):
    found = declared()[name]
    assert (found.type, found.default, found.required) == (kind, default, required)


def test_help_and_the_spelled_default_are_kept():
    assert declared()["rows"].help == "how many rows"
    assert declared()["computed"].default_source == "rows * 2"


def test_a_comment_helps_the_parameter_of_its_own_line():
    found = declared("rows = 1\nlimit: float  # at most\nname = '#1'\n")
    assert {name: parameter.help for name, parameter in found.items()} == {
        "rows": "",
        "limit": "at most",
        "name": "",
    }


def test_the_order_is_the_cells():
    assert list(declared())[:3] == ["rows", "rate", "name"]


def test_a_cell_that_does_not_parse_is_read_line_by_line():
    assert list(declared("%matplotlib inline\nrows = 1\n")) == ["rows"]


def test_no_parameters_cell_and_other_languages_declare_nothing():
    assert inspect(notebook("a = 1"), "python3", "python") == []
    assert inspect(notebook(parameters="rows <- 1"), "ir", "R") == []


@pytest.mark.parametrize(
    "given",
    [
        {"rows": 5},
        {"rate": 1},
        {"rate": 0.25, "limit": None},
        {"flag": False, "columns": [], "options": {}},
        {"budget": None},
        {"anything": {"a": [1]}, "computed": "text"},
    ],
)
def test_fitting_values_are_accepted(given):
    given = {"region": "eu", "day": "2026-01-01", **given}
    assert check(list(declared().values()), given) == given


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ({"row": 5}, "unknown parameter 'row': did you mean rows"),
        ({"zzz": 5}, "unknown parameter 'zzz': it has rows"),
        ({"rows": "5"}, "'rows': expected int, got str"),
        ({"rows": 5.0}, "'rows': expected int, got float"),
        ({"rows": True}, "'rows': expected int, got bool"),
        ({"rate": True}, "'rate': expected float, got bool"),
        ({"flag": 1}, "'flag': expected bool, got int"),
        ({"rows": None}, "'rows': expected int, got None$"),
        ({"columns": {"a": 1}}, "'columns': expected list, got dict"),
        ({"anything": float("nan")}, "'anything' has a value that is not JSON"),
        ({"anything": object()}, "'anything' has a value that is not JSON"),
        ({"anything": "x" * 100_001}, "'anything' has .* bytes, and all together may have 100000: keep what"),
        ({"anything": "ü" * 40_000, "columns": ["x" * 40_000]}, "'columns' has .* bytes, and all together"),
    ],
)
def test_other_values_are_refused_naming_parameter_and_expectation(given, says):
    with pytest.raises(InvalidInput, match=says):
        check(list(declared().values()), {"region": "eu", "day": "x", **given})


def test_a_missing_required_parameter_is_refused():
    with pytest.raises(InvalidInput, match="'region' is required and was not given \\(expected str"):
        check(list(declared().values()), {"day": "x"})


def test_a_notebook_without_parameters_says_how_to_declare_them():
    with pytest.raises(InvalidInput, match="tag a cell `parameters`"):
        check([], {"rows": 5})


@pytest.mark.parametrize(
    ("name", "text", "value"),
    [
        ("day", "2026", "2026"),
        ("rows", "5", 5),
        ("rate", "1e-3", 0.001),
        ("flag", "true", True),
        ("flag", "False", False),
        ("limit", "None", None),
        ("columns", '["a"]', ["a"]),
        ("columns", "('a', 'b')", ["a", "b"]),
        ("options", "{'a': 1}", {"a": 1}),
        ("anything", "plain text", "plain text"),
        ("undeclared", "7", 7),
    ],
)
def test_text_of_the_command_line_becomes_the_declared_type(name, text, value):
    assert parse(list(declared().values()), name, text) == value


def test_text_that_is_no_list_is_refused():
    with pytest.raises(InvalidInput, match="'columns': expected list"):
        parse(list(declared().values()), "columns", "a,b")


@pytest.mark.parametrize("value", ["\ud800", ["a", "\udfff"], {"\ud800": 1}])
def test_half_a_character_is_refused_naming_the_parameter(value):
    declared = inspect(notebook(parameters="anything = None"), "python3", "python")
    with pytest.raises(InvalidInput, match="'anything' has a value that is not JSON") as caught:
        check(declared, {"anything": value})
    json.dumps(caught.value.as_dict(), ensure_ascii=False).encode()


def test_a_name_with_half_a_character_is_refused():
    with pytest.raises(InvalidInput) as caught:
        check([], {"\ud800": 1})
    json.dumps(caught.value.as_dict(), ensure_ascii=False).encode()


def test_a_value_nested_too_deeply_is_refused():
    value: list = []
    for _ in range(100_000):
        value = [value]
    with pytest.raises(InvalidInput, match="'anything'"):
        check_json({"anything": value})


HOSTILE = {
    "signs": lambda n: "x = " + "-" * n + "1",
    "brackets": lambda n: "x = " + "[" * n + "]" * n,
    "attributes": lambda n: "x = a" + ".b" * n,
    "sum": lambda n: "x = 1" + "+1" * n,
    "calls": lambda n: "x = f" + "(0)" * n,
    "not": lambda n: "x = " + "not " * n + "1",
    "lambdas": lambda n: "x = " + "lambda:" * n + "1",
    "conditions": lambda n: "x = " + "1 if 1 else " * n + "1",
    "type": lambda n: "x: " + "List[" * n + "int" + "]" * n + " = 1",
    "quoted type": lambda n: 'x: "' + "List[" * n + '" = 1',
    "targets": lambda n: "x=" * n + "1",
    "digits": lambda n: "x = " + "9" * n,
    "branches": lambda n: "if 1: pass\n" + "elif 1: pass\n" * n,
    "statements": lambda n: "x=1;" * n,
    "text": lambda n: "x = 'a'" + " 'a'" * n,
    "comparisons": lambda n: "x = 1" + "<1" * n,
    "lines": lambda n: "x=1\n" * n,
    "names": lambda n: "".join(f"x{i}=1\n" for i in range(n)),
    "blanks": lambda n: "x: int" + " " * n + "y = 1  # type: int",
    "comments": lambda n: "x = 1 " + "# " * n,
    "no Python": lambda n: "x = 1\n%%%" + " " * n + "=",
    "null": lambda n: "x = 1\0" * n,
}


@pytest.mark.parametrize("shape", HOSTILE)
def test_a_cell_that_breaks_parsers_is_read_or_refused_in_time_that_follows_its_size(shape):
    for size in (100, 1_000, 10_000, 30_000):
        cell = v4.new_code_cell(HOSTILE[shape](size)[:100_000], metadata={"tags": ["parameters"]})
        before = time.process_time()
        inspect(v4.new_notebook(cells=[cell]), "python3", "python")
        assert (
            time.process_time() - before < 10
        )  # 3 s for 30,000 lines; what grows with the square takes minutes


def test_a_cell_that_is_longer_than_what_is_read_is_refused_with_the_fix():
    with pytest.raises(InvalidInput, match="move the rest to a cell of its own"):
        declared("x = 1\n" * 20_000)
