"""A cell depends on the session's state that it is not shown to leave alone, and on files that others write."""

# ruff: noqa: E501  a piece of code is one line of the table

from __future__ import annotations

import pytest

from respawn_jobs.dataflow import Footprint, footprints, hidden
from respawn_jobs.model.hidden_state import FILES, WORLD_STATE, library_state
from respawn_kernels.session_state import CATALOGUE

IMPORTS = "import calendar, csv, decimal, random, os, shutil, glob, json, pickle, logging, locale, time, warnings, sqlite3\nfrom decimal import Decimal, getcontext, localcontext\nfrom pathlib import Path\nfrom random import shuffle\nimport numpy as np\nfrom numpy.random import normal\nimport pandas as pd\nimport matplotlib\nimport matplotlib.pyplot as plt\nimport helpers"
DATA = "df = pd.DataFrame({'k': ['a', 'b'], 'x': [1, 2]})\narray = np.ones(3)\nitems = [3, 1, 2]"


def run(*cells: str) -> list[Footprint]:
    return footprints([IMPORTS, DATA, *cells])[2:]


def shared(writer: Footprint, reader: Footprint) -> set[str]:
    """The names by which a cell that runs again makes another depend on it."""
    names = {*CATALOGUE, FILES, WORLD_STATE, *(library_state(used) for used in writer.uses | reader.uses)}
    names |= writer.writes | reader.reads | writer.reads | reader.writes
    return {name for name in names if hidden(name) and writer.may_write(name) and reader.may_read(name)}


DEPENDENT = [
    ("np.random.seed(0)", "n = {'n': np.random.normal}['n']()"),
    ("np.random.seed(0)", "n = [f() for f in (np.random.normal,)]"),
    ("np.random.seed(0)", "n = normal()"),
    ("np.random.seed(0)", "n = getattr(df, 'sample')(1)"),
    ("np.random.seed(0)", "n = df.sample(1)"),
    ("np.random.seed(0)", "n = df.apply(np.random.permutation)"),
    ("np.random.seed(0)", "import functools\nn = functools.partial(np.random.normal, 1)()"),
    ("np.random.seed(0)", "n = list(map(np.random.normal, items))"),
    ("np.random.seed(0)", "n = df.agg({'x': np.random.permutation})"),
    ("np.random.seed(0)", "def f(draw=np.random.normal):\n    return draw()\nn = f()"),
    ("np.random.seed(0)", "class A:\n    draw = np.random.normal\nn = A.draw()"),
    ("np.random.seed(0)", "tools = {'r': np.random}\nn = tools['r'].normal()"),
    (
        "np.random.seed(0)",
        "from sklearn.ensemble import RandomForestRegressor\nn = RandomForestRegressor().fit(array, array)",
    ),
    ("random.seed(1)", "n = random.random()"),
    ("random.seed(1)", "shuffle(items)"),
    ("random.seed(1)", "n = {'c': random.choice}['c'](items)"),
    ("random.seed(1)", "items.sort(key=lambda v: random.random())"),
    ("getcontext().prec = 10", "n = Decimal(1) / 3"),
    ("c = getcontext()\nc.prec = 10", "n = Decimal(1) / 3"),
    ("decimal.getcontext().rounding = decimal.ROUND_UP", "n = Decimal('1.5').quantize(Decimal(1))"),
    ("decimal.setcontext(decimal.Context(prec=5))", "n = sum([Decimal(1) / 3])"),
    ("decimal.DefaultContext.prec = 5", "n = Decimal(1) / 3"),
    ("def set_precision():\n    getcontext().prec = 10\nset_precision()", "n = Decimal(1) / 3"),
    ("contexts = [getcontext()]\ncontexts[0].prec = 3", "n = Decimal(1) / 3"),
    ("getcontext().prec = 10", "n = json.loads('[1.5]', parse_float=Decimal)\nm = sum(n) / 3"),
    ("getcontext().prec = 10", "n = sum(list(map(Decimal, items))) / 3"),
    ("getcontext().prec = 10", "t = pd.Series([Decimal(1)])\nn = t / 3"),
    ("getcontext().prec = 10", "t = pd.read_parquet('a.parquet')\nn = t.x / 3"),
    ("plt.plot(items)", "n = len(plt.gca().lines)"),
    ("df.plot()", "n = len(plt.gca().lines)"),
    ("df.x.hist()", "n = len(plt.gca().patches)"),
    ("fig, ax = plt.subplots()", "n = plt.get_fignums()"),
    ("plt.close('all')", "n = plt.get_fignums()"),
    ("plt.gca().set_title('t')", "n = plt.gca().get_title()"),
    ("plt.rcParams['figure.dpi'] = 50", "fig = plt.figure()"),
    ("matplotlib.rcParams.update({'figure.dpi': 50})", "fig = plt.figure()"),
    ("plt.style.use('ggplot')", "fig = plt.figure()"),
    ("plt.rc('lines', linewidth=3)", "n = plt.plot(items)"),
    ("pd.set_option('display.max_rows', 5)", "n = df.to_string()"),
    ("pd.options.display.max_rows = 5", "df"),
    ("pd.options.mode.copy_on_write = True", "n = df['x']"),
    ("np.seterr(all='raise')", "n = np.log(array - 1)"),
    ("np.seterr(all='raise')", "n = array / 0"),
    ("np.set_printoptions(precision=2)", "n = str(array)"),
    ("np.set_printoptions(precision=2)", "array"),
    ("calendar.setfirstweekday(6)", "n = calendar.monthcalendar(2024, 1)"),
    ("calendar.setfirstweekday(6)", "n = calendar.weekheader(3)"),
    ("old = calendar.setfirstweekday(6)", "n = calendar.weekheader(3)"),
    ("csv.register_dialect('d', delimiter=';')", "n = list(csv.reader(['a;b'], 'd'))"),
    ("csv.field_size_limit(10)", "n = list(csv.reader(['a;b']))"),
    ("json.something_new(1)", "n = json.dumps(items)"),
    ("json.JSONEncoder.default = None", "n = json.dumps(items)"),
    ("locale.setlocale(locale.LC_ALL, 'C')", "n = f'{1000:n}'"),
    ("time.tzset()", "n = time.localtime()"),
    ("logging.getLogger().setLevel(10)", "logging.info('a')"),
    ("logging.getLogger('a').addHandler(logging.NullHandler())", "logging.getLogger('a.b').info('c')"),
    ("logging.basicConfig(level=10)", "n = logging.getLogger().isEnabledFor(10)"),
    ("warnings.simplefilter('error')", "warnings.warn('a')"),
    ("warnings.filterwarnings('error')", "n = df.x.mean()"),
    ("import sys\nsys.setrecursionlimit(50)", "def f(n):\n    return n and f(n - 1)\nn = f(40)"),
    ("os.environ['A'] = '1'", "n = os.environ['A']"),
    ("os.environ.update(A='1')", "n = os.getenv('A')"),
    ("os.environ['A'] = '1'", "import another"),
    ("os.putenv('A', '1')", "n = !echo $A"),
    ("os.chdir('/tmp')", "n = os.listdir()"),
    ("os.chdir('/tmp')", "n = open('a.txt').read()"),
    ("%cd /tmp", "n = pd.read_csv('a.csv')"),
    ("%env A=1", "n = os.environ['A']"),
    ("helpers.configure(1)", "n = helpers.value()"),
    ("helpers.URL = 'test://'", "n = helpers.fetch()"),
    ("helpers.configure(1)", "n = calendar.weekheader(3)"),
    ("pd.DataFrame.total = lambda t: t.x.sum()", "n = df.total()"),
    ("np.mean = max", "n = np.mean(array)"),
    ("from tqdm import tqdm\ntqdm.pandas()", "n = df.progress_apply(len)"),
    ("%config InteractiveShell.ast_node_interactivity = 'all'", "items\nitems"),
    ("%config InteractiveShell.ast_node_interactivity = 'all'", "display(items)\nitems"),
    ("%precision 2", "1 / 3"),
    ("%config InlineBackend.figure_format = 'svg'", "plt.plot(items)"),
    ("%matplotlib agg", "plt.plot(items)"),
    (
        "import sklearn\nsklearn.set_config(transform_output='pandas')",
        "from sklearn.preprocessing import StandardScaler\nn = StandardScaler().fit_transform(df)",
    ),
]


@pytest.mark.parametrize(("writer", "reader"), DEPENDENT)
def test_a_cell_depends_on_the_state_that_another_sets(writer, reader):
    assert shared(*run(writer, reader))


@pytest.mark.parametrize(
    ("writer", "reader"),
    [
        ("np.random.seed(0)", "n = df.x.mean()"),
        ("np.random.seed(0)", "n = np.mean(array)"),
        ("np.random.seed(0)", "rng = np.random.default_rng(1)\nn = rng.normal()"),
        ("np.random.seed(0)", "random.random()"),
        ("n = np.random.normal()", "np.random.seed(0)\nn = np.random.normal()"),
        ("getcontext().prec = 10", "n = df.x.mean()"),
        ("getcontext().prec = 10", "n = sum(items) / 3"),
        ("plt.plot(items)", "n = df.x.mean()"),
        ("plt.plot(items)", "n = sum(items)"),
        ("pd.set_option('display.max_rows', 5)", "n = sum(items)"),
        ("pd.set_option('display.max_rows', 5)", "n = np.mean(array)"),
        ("warnings.simplefilter('ignore')", "n = sum(items)"),
        (
            "with warnings.catch_warnings():\n    warnings.simplefilter('ignore')\n    n = df.x.mean()",
            "m = df.x.mean()",
        ),
        ("with localcontext() as c:\n    c.prec = 3\n    n = Decimal(1) / 3", "m = Decimal(1) / 3"),
        ("calendar.setfirstweekday(6)", "n = sum(items)"),
        ("os.environ['A'] = '1'", "n = sum(items)"),
        ("os.chdir('/tmp')", "n = df.x.mean()"),
        ("n = df.x.mean()", "n = calendar.weekheader(3)"),
        ("n = df.groupby('k').x.sum()", "df.describe()"),
        ("n = array * 2", "plt.plot(array)"),
        ("items.append(1)", "n = Decimal(1) / 3"),
        ("n = 1", "helpers.configure(2)"),
        ("%matplotlib inline", "n = df.x.mean()"),
    ],
)
def test_a_cell_that_is_shown_to_leave_it_alone_does_not(writer, reader):
    assert not shared(*run(writer, reader))


FILE_PAIRS = [
    ("df.to_csv('a.csv')", "n = pd.read_csv('a.csv')"),
    ("df.to_csv('./a.csv')", "n = pd.read_csv('a.csv')"),
    ("path = 'a.csv'\ndf.to_csv(path)", "n = pd.read_csv('a.csv')"),
    ("name = 'a'\ndf.to_csv(f'{name}.csv')", "n = pd.read_csv('a.csv')"),
    ("for i in range(3):\n    df.to_csv(f'{i}.csv')", "n = pd.read_csv('a.csv')"),
    ("df.to_csv(Path('out') / 'a.csv')", "n = pd.read_csv('out/a.csv')"),
    ("df.to_csv(os.path.join('out', 'a.csv'))", "n = pd.read_csv('out/a.csv')"),
    ("kw = {'path_or_buf': 'a.csv'}\ndf.to_csv(**kw)", "n = pd.read_csv('a.csv')"),
    ("open('a.txt', 'w').write('b')", "n = open('a.txt').read()"),
    ("with open('a.txt', 'w') as f:\n    f.write('b')", "with open('a.txt') as f:\n    n = f.read()"),
    ("with open('a.json', 'w') as f:\n    json.dump(items, f)", "n = json.load(open('a.json'))"),
    ("mode = 'w'\nopen('a.txt', mode).write('b')", "n = Path('a.txt').read_text()"),
    ("with open('a.pkl', 'wb') as f:\n    pickle.dump(items, f)", "n = pickle.load(open('a.pkl', 'rb'))"),
    ("Path('a.txt').write_text('b')", "n = open('a.txt').read()"),
    ("(Path('d') / 'a.txt').write_text('b')", "n = list(Path('d').iterdir())"),
    ("Path('d').mkdir()", "n = os.listdir('.')"),
    ("os.makedirs('d/one')", "n = os.listdir('d')"),
    ("os.makedirs('d/one')", "n = glob.glob('d/*')"),
    ("os.makedirs('d/one')", "n = list(os.walk('d'))"),
    ("os.makedirs('d/one')", "n = os.path.exists('d/one')"),
    ("os.mkdir('one')", "n = os.listdir()"),
    ("shutil.copy('b.csv', 'a.csv')", "n = pd.read_csv('a.csv')"),
    ("shutil.rmtree('d')", "n = os.path.exists('d/a.csv')"),
    ("os.remove('a.csv')", "n = os.path.exists('a.csv')"),
    ("os.rename('b.csv', 'a.csv')", "n = pd.read_csv('a.csv')"),
    ("np.save('a.npy', array)", "n = np.load('a.npy')"),
    ("np.savetxt('a.txt', array)", "n = np.loadtxt('a.txt')"),
    ("import joblib\njoblib.dump(items, 'a.bin')", "n = joblib.load('a.bin')"),
    ("plt.savefig('a.png')", "n = plt.imread('a.png')"),
    ("fig = plt.figure()\nfig.savefig('a.png')", "n = open('a.png', 'rb').read()"),
    (
        "c = sqlite3.connect('a.db')\nc.execute('create table t (x)')",
        "c = sqlite3.connect('a.db')\nn = c.execute('select * from t').fetchall()",
    ),
    (
        "df.to_sql('t', sqlite3.connect('a.db'))",
        "n = pd.read_sql('select * from t', sqlite3.connect('a.db'))",
    ),
    ("%%writefile a.txt\nb", "n = open('a.txt').read()"),
    ("%%writefile helpers_too.py\nb = 1", "import helpers_too"),
    ("!echo b > a.txt", "n = open('a.txt').read()"),
    ("%%bash\necho b > a.txt", "n = open('a.txt').read()"),
    ("%mkdir d", "n = os.listdir()"),
    ("df.to_csv('a.csv')", "n = !cat a.csv"),
    ("os.system('touch a')", "n = os.listdir()"),
    ("import subprocess\nsubprocess.run(['touch', 'a'])", "n = os.listdir()"),
    ("helpers.export(df)", "n = pd.read_csv('a.csv')"),
    ("df.to_csv('a.csv')", "n = helpers.load()"),
]


@pytest.mark.parametrize(("writer", "reader"), FILE_PAIRS)
def test_a_cell_that_reads_a_file_depends_on_those_that_write_it(writer, reader):
    assert shared(*run(writer, reader))


@pytest.mark.parametrize(
    ("writer", "reader"),
    [
        ("df.to_csv('a.csv')", "n = pd.read_csv('b.csv')"),
        ("path = 'a.csv'\ndf.to_csv(path)", "n = pd.read_csv('b.csv')"),
        ("df.to_csv(Path('out') / 'a.csv')", "n = pd.read_csv('in/a.csv')"),
        ("open('a.txt', 'w').write('b')", "n = df.x.mean()"),
        ("os.makedirs('out', exist_ok=True)", "n = pd.read_csv('/data/a.csv')"),
        ("plt.savefig('a.png')", "n = pd.read_csv('a.csv')"),
        ("n = pd.read_csv('a.csv')", "n = pd.read_csv('a.csv')"),
        ("df.to_csv('a.csv')", "n = sum(items)"),
        ("n = df.to_csv()", "n = pd.read_csv('a.csv')"),
    ],
)
def test_other_files_do_not_count(writer, reader):
    assert not shared(*run(writer, reader))


def test_a_list_of_files_is_a_list():
    made, changed = run("files = os.listdir('d')\nsame = files", "same.append('a')")
    assert "files" in changed.writes
    assert (
        "wrapped"
        in run("import textwrap\nwrapped = textwrap.wrap('a b')\nsame = wrapped", "same.pop()")[-1].writes
    )
    assert made.opaque is None


def test_showing_something_is_only_looking_at_it():
    shown = run("from IPython.display import HTML, display", "display(HTML('a'), df)")[-1]
    assert shown.opaque is None
    assert "df" not in shown.writes


def test_a_file_handle_stands_for_its_file():
    opened, written, read = run("f = open('a.txt', 'w')", "f.write('b')", "n = open('a.txt').read()")
    assert shared(written, read)
    assert "#file:a.txt" in opened.sure


def test_a_table_written_to_a_buffer_changes_the_buffer():
    assert "buffer" in run("import io\nbuffer = io.StringIO()", "df.to_csv(buffer)")[-1].writes


def test_paths_are_of_any_file_once_the_directory_may_be_another():
    assert shared(*run("df.to_csv('a.csv')", "os.chdir('data')\nn = pd.read_csv('b.csv')"))
