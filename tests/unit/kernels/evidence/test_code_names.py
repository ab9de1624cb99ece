"""Which global names code may read and bind, told from the code object."""

from __future__ import annotations

from types import CodeType
from typing import Any

from respawn_kernels.evidence.code_names import is_module_level, names_of


def code_of(source: str, name: str) -> CodeType:
    namespace: dict[str, Any] = {}
    exec(source, namespace)
    return namespace[name].__code__


def inner(code: CodeType, name: str) -> CodeType:
    return next(one for one in code.co_consts if isinstance(one, CodeType) and one.co_name == name)


def test_function_reads_the_globals_that_it_loads_but_not_attributes() -> None:
    names = names_of(code_of("def f(x):\n    return x.total * scale + len(x)", "f"))
    assert names.reads == {"scale", "len"}
    assert not names.writes


def test_function_writes_what_it_declares_global() -> None:
    names = names_of(code_of("def f():\n    global a, b\n    a = 1\n    del b", "f"))
    assert names.writes == {"a", "b"}
    assert not names.reads


def test_nested_functions_are_code_of_their_own() -> None:
    code = code_of("def f():\n    return lambda: limit", "f")
    assert not names_of(code).reads
    assert names_of(inner(code, "<lambda>")).reads == {"limit"}


def test_text_given_to_exec_binds_global_names() -> None:
    code = compile("a = b\ndel c", "<string>", "exec")
    assert is_module_level(code)
    assert names_of(code).reads == {"b"}
    assert names_of(code).writes == {"a", "c"}


def test_class_body_reads_globals_but_binds_none() -> None:
    body = inner(compile("class C:\n    x = base\n    y = x\n    z = len(y)", "<string>", "exec"), "C")
    assert not is_module_level(body)
    assert {"base", "len"} <= names_of(body).reads
    assert not {"x", "y"} & names_of(body).reads
    assert not names_of(body).writes


def test_names_beyond_the_first_256_are_told_right() -> None:
    many = "\n".join(f"    n{number}" for number in range(600))
    names = names_of(code_of(f"def f():\n{many}", "f"))
    assert names.reads == {f"n{number}" for number in range(600)}


def test_names_are_the_same_after_the_code_was_specialized() -> None:
    namespace: dict[str, Any] = {"scale": 2}
    exec("def f(x):\n    return x * scale", namespace)
    before = names_of(namespace["f"].__code__)
    for number in range(1000):
        namespace["f"](number)
    assert names_of(namespace["f"].__code__) == before
