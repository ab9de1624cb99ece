import pytest

from respawn_jobs.dataflow.live_names import Reads


def reads(*cells: str, before: tuple[str, ...] = ()) -> set[str]:
    """Names that the cells read from before them, of the interesting ones `lock` and `gen`."""
    following = Reads()
    for source in before:
        following.define(source)
    found: set[str] = set()
    for source in cells:
        found |= following.cell(source)
    return found & {"lock", "gen"}


@pytest.mark.parametrize(
    "source",
    [
        "next(gen)",
        "x = gen",
        "gen += 1",
        "gen = gen",
        "for gen in gen: pass",
        "gen.close()",
        "del gen",
        "[x for x in gen]",
        "[gen for x in y]",
        "f'{gen}'",
        "print(lambda: gen)",
        "def f(a=gen): pass",
        "def f():\n    return gen\nf()",
        "class A(gen): pass",
        "class A:\n    x = gen",
        "class A:\n    def m(self):\n        return gen\nA()",
        "if x:\n    pass\nelse:\n    gen",
        "%matplotlib inline\nnext(gen)",
        "%matplotlib inline\nx = f'''\n{gen}?'''",
        "%%time\nnext(gen)",
        "files = !ls\nnext(gen)",
        "this is no python gen",
        "with gen as gen: pass",
        "x: int = gen",
        "@gen\ndef f(): pass",
        "f = lambda: gen\nf()",
        "async def f():\n    await gen\nf()",
        "def outer():\n    def inner():\n        return gen\n    return inner\nouter()",
        "%time next(gen)",
        "%time x = next(gen)",
        "if x:\n    %time next(gen)",
        "%timeit -n 3 f(gen)",
        "%load_ext x\n%other --with gen",
        "x = %time next(gen)",
        "!echo {gen}",
        "!echo $gen",
        "files = !ls {gen.name}",
        "%%sql gen\nselect * from x",
        "%%sql con\nselect * from {gen}",
        "%%sql gen\nx",
        "%%other\nnext(gen)",
        "\n%%time\nnext(gen)",
        "%%timeit gen\nx",
        "%%bash -s {gen}\necho",
        "def f():\n    nonlocal x\n    return gen\nf()",
        "x = (a\n  % gen)",
        "-" * 20_000 + "gen",
        "(" * 150 + "gen" + ")" * 150,
        "x = " + "1 + " * 5_000 + "gen",
    ],
)
def test_a_read_is_seen(source):
    assert reads(source) == {"gen"}


@pytest.mark.parametrize(
    "source",
    [
        "gen = make()\nnext(gen)",
        "import gen\ngen.x",
        "import gen.sub\ngen.x",
        "from a import b as gen\ngen",
        "for gen in y:\n    gen",
        "[gen for gen in y]",
        "def f(gen):\n    return gen\nf(1)",
        "def f():\n    gen = 1\n    return gen\nf()",
        "def f():\n    return gen",
        "def f():\n    return gen\ngen = 1\nf()",
        "def gen(): pass\ngen()",
        "class gen: pass\ngen()",
        "x.gen",
        "f(gen=1)",
        "'gen'",
        "# gen",
        "gen: int",
        "with a as gen:\n    gen",
        "try:\n    pass\nexcept E as gen:\n    gen",
        "match x:\n    case [gen, *lock]:\n        gen, lock",
        "(gen := 1) + gen",
        "%%bash\necho gen",
        "!echo gen",
        "gen?",
        "f = lambda: gen",
        "a, (gen, b) = x\ngen",
        "%time gen = make()\nnext(gen)",
        "%%time\ngen = make()\nnext(gen)",
        "%%writefile a.py\nnext(gen)",
        "%matplotlib inline",
    ],
)
def test_what_is_no_read_of_an_earlier_value_is_left_out(source):
    assert reads(source) == set()


def test_an_earlier_cell_of_the_sequence_assigns_for_the_later_ones():
    assert reads("gen = make()", "next(gen)") == set()


def test_functions_of_cells_that_do_not_run_again_are_followed():
    before = ("def inner():\n    return lock", "def outer():\n    return inner()")
    assert reads("outer()", before=before) == {"lock"}
    assert reads("x = 1", before=before) == set()


def test_functions_that_call_each_other_end():
    assert reads("a()", before=("def a(): return b()", "def b(): return a() or gen")) == {"gen"}


def test_a_function_that_was_replaced_no_longer_counts():
    assert reads("f()", before=("def f(): return gen", "f = 1")) == set()


def test_what_a_cell_magic_assigns_elsewhere_does_not_count_as_assigned():
    assert reads("%%px\ngen = make()", "next(gen)") == {"gen"}
    assert reads("%timeit gen = 1") == {"gen"}


def test_a_function_that_does_not_compile_counts_with_all_its_names():
    assert reads("f()", before=("def f():\n    nonlocal x\n    return gen",)) == {"gen"}
    deep = "1 + " * 400 + "gen"
    assert reads("f()", before=(f"def f():\n    return {deep}",)) == {"gen"}
