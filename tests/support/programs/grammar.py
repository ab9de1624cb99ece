"""Random programs: statements that make, share and change variables in the ways that notebooks and people know.

A statement is a template. `{list}` stands for some variable that holds a list, `{any}` for any, `{new}` for a name
that is made or taken over, `{n}` for a small number. What a template makes says which others fit later; a statement
that fails all the same ends its cell, as it would in a notebook.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass

from hypothesis import strategies as st

_HOLE = re.compile(r"\{(any|new|n|[a-z]+\d?)\}")

MAKE = """
list    | {new} = [1, [2], 'three']
list    | {new} = [{any}, {any}]
list    | {new} = [[] for _ in range(3)]
dict    | {new} = {{'a': {any}, 'b': [1]}}
dict    | {new} = dict(a=[1], b={{}})
dict    | {new} = collections.OrderedDict(a=[1])
set     | {new} = {{1, 2}}
deque   | {new} = collections.deque([1, [2]])
bytes   | {new} = bytearray(b'abcdefgh' * 3)
array   | {new} = np.arange(12.0)
array   | {new} = np.zeros(12)
array   | {new} = np.arange(9000.0)
array   | {new} = np.arange(12, dtype='i8')
table   | {new} = np.arange(12.0).reshape(3, 4)
table   | {new} = np.asfortranarray(np.ones((4, 3)))
objects | {new} = np.array([[1], {{}}, None], dtype=object)
frame   | {new} = pd.DataFrame({{'a': np.arange(4.0), 'b': list('wxyz'), 'c': range(4)}})
frame   | {new} = pd.DataFrame({{'a': [1.5] * 4, 'o': [[1], [2], None, {{}}]}})
series  | {new} = pd.Series(range(4))
sparse  | {new} = sparse.csr_array(np.eye(4))
model   | {new} = SGDRegressor(random_state=0).partial_fit(np.eye(4), [1, 2, 3, 4])
kind    | class {new}:\\n  shared = [0]\\n  total = 0\\n  def poke(self, by=1): self.shared.append(by); type(self).total += by
kind    | class {new}:\\n  shared = {list}\\n  def poke(self): self.shared.append(7); self.mine = [1]
kind    | class {new}({kind}):\\n  extra = {any}
object  | {new} = {kind}()
object  | {new} = {kind}(); {new}.child = {any}
poker   | {new} = {object}.poke
func    | def {new}(into={list}): into.append({n}); return len(into)
func    | def {new}(): {list}.append({n}); return {n}
func    | def {new}(): {dict}['made'] = {n}
func    | def {new}(): {array}[0] = {n}; return {array}.sum()
func    | def {new}(): return {func}()
func    | {new} = lambda: {list}.append({n})
func    | {new} = functools.partial({list}.append, {n})
func    | {new} = {list}.append.__self__.copy
func    | def make(v):\\n  def inner(): v.append({n}); return v\\n  return inner\\n{new} = make({list})
func    | def make():\\n  n = 0\\n  def inner():\\n    nonlocal n\\n    n += 1\\n    return n\\n  return inner\\n{new} = make()
func    | def make():\\n  n = []\\n  return (lambda: n.append(1)), (lambda: n)\\n{new}, {list} = make(); {list} = {list}()
func    | def {new}():\\n  global {list}\\n  {list} = [{n}]
func    | def {new}(): globals()['{list}'].append({n})
func    | def {new}(f={func}, *, g=[{any}]): g.append(1); return f()
func    | {new} = functools.lru_cache({func})
""".replace("{list}.append.__self__.copy", "{list}.copy")

VIEW = """
array   | {new} = {array}[1:]
array   | {new} = {array}[::2]
array   | {new} = {array}[::-1]
array   | {new} = {array}[3:3 + {n}]
table   | {new} = {array}[:12].reshape(3, 4)
table   | {new} = {table}.T
table   | {new} = {table}[:, 1:3]
array   | {new} = {table}[0]
array   | {new} = {table}.ravel()
array   | {new} = {array}.view('u1')
array   | {new} = np.frombuffer({bytes}, dtype='u1')
array   | {new} = np.asarray({array})
array   | {new} = np.lib.stride_tricks.as_strided({array}, (4,), (8,))
array   | {new} = {sparse}.data
array   | {new} = {frame}['a'].to_numpy()
series  | {new} = {frame}['a']
series  | {new} = pd.Series({array}, copy=False)
frame   | {new} = {frame}[['a']]
frame   | {new} = {frame}.iloc[1:]
frame   | {new} = pd.DataFrame({{'a': {array}[:4]}})
sparse  | {new} = sparse.csr_array(({array}[:4], [0, 1, 2, 3], [0, 1, 2, 3, 4]), copy=False)
iter    | {new} = iter({list})
any     | {new} = {any}
any     | {new} = ({any}, {any})
any     | {new}, *rest = {list}
any     | {new} = [one for one in {list}]
any     | for {new} in {list}: pass
any     | if ({new} := {list}): pass
any     | {new} = {dict}.get('a')
any     | {new} = {object}.__dict__
any     | {new} = vars({object})
any     | import {math} as {new}
""".replace("{math}", "math")

CHANGE = """
{list}.append({any})
{list}.append({n})
{list} += [{n}]
{list}[0] = {any}
{list}[-1].append({n})
{list}.clear()
{list}.append({list})
{dict}['k{n}'] = {any}
{dict}['b'].append({n})
{dict}.update(self={dict})
{dict}.pop('a', None)
{set}.add({n})
{set} |= {{{n}, 8}}
{deque}.append({n}); {deque}.rotate(1)
{bytes}[{n}] = 90
{bytes}[2:4] = b'ZZ'
memoryview({bytes})[1] = {n}
{array}[{n}] = 77
{array}[:] = {n}
{array} += 1
{array}.fill({n})
{array}.sort()
{array}.flat[1] = 5
np.add({array}, 1, out={array})
np.multiply({array}, 2, {array})
np.copyto({array}, {n})
np.add.at({array}, [0, 0], 1)
np.put({array}, [0], [9])
np.random.default_rng({n}).random(out={array})
np.cumsum({array}, out={array})
memoryview({array})[0] = 1.5
{array}.setflags(write=False)
{table}[1] = {n}
{table}[:, 0] += 1
np.dot({table}, {table}.T, out=np.empty((3, 3)))
np.fill_diagonal({table}, {n})
{table} *= 2
{objects}[0].append({n})
{objects}[2] = {any}
{frame}.loc[0, 'a'] = {n}
{frame}['new'] = {n}
{frame}['o'] = [[{n}], None, {list}, 4]
{frame}['o'].iloc[0].append({n})
{frame}.drop(columns='b', inplace=True)
{frame}.attrs['by'] = {list}
{frame}.insert(0, 'x{n}', 5)
{frame}['d'] = {frame}.eval('a + {n}')
{series}.iloc[1] = {n}
{series} *= 2
{series}.name = 'renamed'
{sparse}.data[:] *= 2
{sparse}[0, 1] = {n}
{model}.partial_fit(np.eye(4), [{n}, 1, 1, 1])
{model}.coef_[0] = {n}
{model}.note = {list}
{kind}.shared.append({n})
{kind}.total += 1
setattr({kind}, 'added', {any})
{kind}.grow = lambda self: self.shared.append({n})
{object}.poke()
{object}.grow()
{object}.attr = {any}
setattr({object}, 'w', {any})
{object}.__dict__['k'] = {list}
vars({object})['v'] = {n}
{object}.child.append({n})
getattr({object}, 'ch' + 'ild').append({n})
{poker}()
{func}()
{func}()
[f() for f in ({func}, {func})]
list(map(lambda f: f(), [{func}]))
{func}.data = {list}
{func}.data.append({n})
{func}.__defaults__[0].append({n})
{func}.__kwdefaults__['g'].append({n})
{func}.__closure__[0].cell_contents.append({n})
next({iter})
exec('{list}.append({n})')
exec('{new} = [{n}]')
eval('{list}').append({n})
globals()['{list}'].append({n})
globals().update({new}=[{n}])
sys.modules['__main__'].{list}.append({n})
__import__('__main__').{list}.extend([{n}])
operator.methodcaller('append', {n})({list})
operator.setitem({dict}, 'o', {any})
(lambda: {list}.append({n}))()
for name in ('{list}',): globals()[name].append({n})
for one in [{list}, {list}]: one.append({n})
for one in {list}:\\n  if isinstance(one, list): one.append({n})
for one in {dict}.values():\\n  if isinstance(one, list): one.append({n})
with open(os.devnull) as {new}: {list}.append({n})
try:\\n  1 / 0\\nexcept ZeroDivisionError as {new}:\\n  {list}.append({n})
del {any}
{any} = {n}
{any} = None
{new} = (i for i in range({n}))
{list}.append(i for i in 'ab')
{dict}['g'] = (i for i in 'ab')
random.random()
np.random.rand()
{list}
{array}
{object}
_.append({n})
Out[max(Out)].append({n})
Out[max(Out)][0] = {n}
_oh[max(_oh)].clear()
get_ipython().user_ns['{list}'].append({n})
%time {list}.append({n})
get_ipython().run_cell('{list}.append({n})')
"""


@dataclass(frozen=True)
class Template:
    """A statement with holes."""

    code: str
    makes: str | None

    @property
    def needs(self) -> list[str]:
        """The kinds of variables that it is about."""
        holes = _HOLE.findall(self.code.replace("{{", "").replace("}}", ""))
        return [hole for hole in holes if hole not in ("new", "n", "any")]


def _templates(text: str, *, typed: bool) -> list[Template]:
    found = []
    for line in text.strip().splitlines():
        makes, _, code = line.partition("|") if typed else ("", "", line)
        found.append(Template(code.strip().replace("\\n", "\n"), makes.strip() or None))
    return found


MAKERS = [*_templates(MAKE, typed=True), *_templates(VIEW, typed=True)]
CHANGES = _templates(CHANGE, typed=False)
_NAMES = [f"v{number}" for number in range(9)]
_FIRST = [t for t in MAKERS if not t.needs and "{any}" not in t.code]

Cell = tuple[str, str]
Draw = Callable[[st.SearchStrategy], object]


@st.composite
def programs(draw: Draw, most_cells: int = 7) -> list[Cell]:
    """Draw cells, each with how its boundary is stored: `inline`, `fork`, or not at all."""
    kinds: dict[str, str] = {}
    cells: list[Cell] = []
    first = [_statement(draw, draw(st.sampled_from(_FIRST)), kinds) for _ in range(draw(st.integers(2, 5)))]
    cells.append(("\n".join(first), "inline"))
    for _ in range(draw(st.integers(1, most_cells))):
        lines = [
            _statement(draw, draw(st.sampled_from(_fitting(kinds))), kinds)
            for _ in range(draw(st.integers(1, 3)))
        ]
        cells.append(("\n".join(lines), draw(st.sampled_from(["inline", "inline", "fork", ""]))))
    return [*cells[:-1], (cells[-1][0], "fork")]


def _fitting(kinds: dict[str, str]) -> list[Template]:
    have = {*kinds.values(), "any", "object"} if "object" in kinds.values() else set(kinds.values())
    makers = [t for t in MAKERS if set(t.needs) <= have]
    changes = [t for t in CHANGES if set(t.needs) <= have]
    # Changes that are about something rather than about anything come oftener.
    return [*makers, *changes, *[t for t in changes if t.needs] * 2]


def _statement(draw: Draw, template: Template, kinds: dict[str, str]) -> str:
    holes: dict[str, str] = {}

    def fill(match: re.Match[str]) -> str:
        hole = match.group(1)
        if hole == "n":
            return str(draw(st.integers(0, 9)))
        if hole == "new":
            return holes.setdefault("new", str(draw(st.sampled_from(_NAMES))))
        fitting = [name for name, kind in kinds.items() if hole in ("any", kind)]
        return str(draw(st.sampled_from(fitting or _NAMES[:1])))

    guarded = template.code.replace("{{", "\0").replace("}}", "\1")
    code = _HOLE.sub(fill, guarded).replace("\0", "{").replace("\1", "}")
    if template.makes:
        kinds[holes["new"]] = template.makes
    elif "new" in holes:
        kinds[holes["new"]] = "list" if template.code.startswith(("exec", "globals")) else "other"
    return code
