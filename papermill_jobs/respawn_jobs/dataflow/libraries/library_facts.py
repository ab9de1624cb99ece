"""What is known of Python's own functions and of the libraries that data scientists use most.

Each entry is a claim that a wrong plan would follow from if it were false, so a name stands here only when
its documentation says that it changes nothing but what stands here. Whatever is not listed may do anything to
what it is given, and may keep it.
"""

from __future__ import annotations

import sys

from respawn_jobs.dataflow.libraries import file_effects, state_effects
from respawn_jobs.model.hidden_state import NUMPY_RANDOM, RANDOM, RANDOM_STATES


def words(text: str) -> frozenset[str]:
    """Return the words of a text."""
    return frozenset(text.split())


SCALAR_BUILTINS = words(
    """
    len int float complex str bytes bool repr ascii ord chr hash isinstance issubclass callable id format
    bin hex oct print round abs divmod pow hasattr range slice input
    """
)
"""Give immutable values (or print), and change nothing; they may call special methods of what they get."""
COLLECTING_BUILTINS = words(
    """
    list tuple set frozenset dict sorted
    """
)
"""Go through what they get once, and make a new box of its parts."""
CHOOSING_BUILTINS = frozenset(["sum", "min", "max"])
TESTING_BUILTINS = frozenset(["any", "all"])
LAZY_BUILTINS = words(
    """
    zip enumerate reversed map filter iter
    """
)
OPAQUE_NAMES = words(
    """
    exec eval globals locals vars compile __import__ dir breakpoint get_ipython In Out _ __ ___ _ih _oh _dh
    __builtins__ __builtin__ __loader__ __spec__ exit quit memoryview
    """
)
"""Names whose use gives access to everything."""
OPAQUE_MODULES = words(
    """
    sys inspect gc ctypes builtins __main__ importlib IPython ipykernel code runpy unittest mock threading
    multiprocessing concurrent asyncio _thread signal atexit weakref types dask distributed ipywidgets
    respawn respawn_kernels cffi pdb faulthandler tracemalloc sitecustomize
    """
)
"""Modules that look into the session, patch others, or go on while later cells run."""

SHOWING = "IPython.display"
"""What shows things, and nothing else."""
UNPICKLING = words(
    """
    pickle.load pickle.loads pickle.Unpickler joblib.load dill.load dill.loads cloudpickle.load
    cloudpickle.loads pandas.read_pickle torch.load shelve.open
    """
)
"""Functions that may give an instance of any class of the notebook."""

BOX_READERS = words(
    """
    get index count copy keys items values union difference intersection symmetric_difference issubset
    issuperset isdisjoint
    """
)
PLAIN_LISTS = frozenset(["split", "rsplit", "splitlines", "partition", "rpartition"])

_STATELESS = words(
    """
    math cmath statistics json re string textwrap datetime collections itertools functools operator decimal
    fractions hashlib base64 copy dataclasses enum typing abc numbers heapq bisect calendar zoneinfo html
    struct uuid difflib pprint time typing_extensions __future__ csv io pickle contextlib warnings
    """
)
_CURATED = words(
    """
    numpy pandas polars pyarrow scipy sklearn statsmodels matplotlib seaborn lightgbm xgboost networkx PIL
    random
    """
)
"""Libraries without state of their own but for what `STATE` names: their functions may change what they are
given, keep it in what they return, and draw random numbers, and nothing else."""

BARS = words(
    """
    tqdm.tqdm tqdm.trange tqdm.auto.tqdm tqdm.auto.trange tqdm.std.tqdm tqdm.notebook.tqdm tqdm.tqdm_notebook
    """
)
"""Progress bars: going through one goes through what it was given. `tqdm.pandas` is none: it patches."""

LOGGER = "logging.getLogger()"
"""What stands for a logger among the paths of libraries."""
LOGGING = frozenset(
    f"{owner}.{name}"
    for owner in ("logging", LOGGER)
    for name in ("debug", "info", "warning", "error", "critical", "exception", "log")
)
"""What puts a message out, by handlers of the notebook too; all else of `logging` sets something."""

_PURE_NUMPY = words(
    """
    abs absolute add all allclose any append arange arccos arcsin arctan arctan2 argmax argmin argsort
    argwhere array around average bincount ceil clip column_stack concatenate copy corrcoef cos cosh
    count_nonzero cov cross cumprod cumsum diag diff digitize divide dot dstack einsum empty empty_like
    equal exp expand_dims expm1 eye flatnonzero flip floor full full_like gradient greater hstack hypot
    identity inner interp isclose isfinite isin isinf isnan kron less linspace log log10 log1p log2
    logaddexp logical_and logical_not logical_or logspace matmul max maximum mean median meshgrid min
    minimum mod multiply nan_to_num nanmax nanmean nanmedian nanmin nanstd nansum nonzero ones ones_like
    outer pad percentile polyfit polyval power prod ptp quantile repeat roll round searchsorted sign sin
    sinh sort sqrt square stack std subtract sum take tan tanh tensordot tile trace trapezoid tril triu
    unique var vstack where zeros zeros_like int64 int32 int8 float64 float32 bool_ datetime64 timedelta64
    linalg.norm linalg.inv linalg.det linalg.solve linalg.eig linalg.svd linalg.lstsq asarray ravel reshape
    squeeze transpose atleast_1d atleast_2d broadcast_to split array_split swapaxes moveaxis
    """
)
_PURE_PANDAS = words(
    """
    DataFrame Series Index MultiIndex Timestamp Timedelta Categorical concat cut qcut crosstab date_range
    get_dummies isna isnull melt merge notna notnull period_range pivot pivot_table to_datetime to_numeric
    to_timedelta unique factorize DataFrame.from_dict DataFrame.from_records
    """
)
_FRESH_NUMPY = _PURE_NUMPY - words(
    """
    array asarray ravel reshape squeeze transpose atleast_1d atleast_2d broadcast_to split array_split
    swapaxes moveaxis diag expand_dims flip take where append concatenate copy stack hstack vstack dstack
    column_stack sort unique repeat tile roll full full_like max min maximum minimum add multiply sum cumsum
    prod nan_to_num meshgrid trace pad clip round around
    """
)
PURE_DATA_METHODS = words(
    """
    abs add agg aggregate all any apply argmax argmin argsort assign astype at between bfill clip columns
    copy corr count cov cummax cummin cumprod cumsum describe diff div dot drop drop_duplicates dropna
    duplicated eq explode ffill fillna filter first flatten floordiv ge get groupby gt head hist iat idxmax
    idxmin iloc interpolate isin isna isnull items iterrows itertuples join kurt last le loc lt map mask max
    mean median melt merge min mod mode mul ne nlargest notna notnull nsmallest nunique pct_change pipe
    pivot pivot_table pow prod ptp quantile query rank ravel reindex rename repeat replace resample
    reset_index reshape rolling round sample select_dtypes sem set_axis set_index shift size skew sort_index
    sort_values squeeze stack std sub sum tail to_dict to_list to_numpy to_records to_string tolist
    transform transpose truediv unique unstack value_counts values var where xs expanding ewm tz_convert
    tz_localize to_period to_timestamp lower upper strip split contains startswith endswith len extract cat
    strftime normalize isocalendar total_seconds item nonzero searchsorted trace
    """
)
FRESH_DATA_METHODS = words(
    """
    mean std var count nunique sem skew kurt corr cov quantile median
    """
)
_WRITING_DATA_METHODS = words(
    """
    to_csv to_parquet to_json to_excel to_pickle to_feather to_html save tofile
    """
)
RANDOM_DATA_METHODS = frozenset({"sample"})

_READERS = "read_"
PROCESS_READERS = words(
    """
    os.getcwd os.getenv os.path.abspath pathlib.Path.cwd pathlib.Path.home os.path.expanduser os.environ.get
    os.environ.copy os.path.realpath
    """
)
PURE_OTHERS = words(
    """
    os.path.join os.path.basename os.path.dirname os.path.splitext os.cpu_count os.getpid pathlib.Path
    warnings.warn
    """
)
ONE_OPERAND = words(
    """
    abs absolute arccos arcsin arctan ceil cos cosh exp expm1 floor isfinite isinf isnan log log10 log1p
    log2 logical_not sign sin sinh sqrt square tan tanh
    """
)
"""Functions of NumPy whose second argument by place is where the result goes."""
MANY_OPERANDS = words(
    """
    where concatenate interp pad tensordot allclose isclose linspace
    """
)
TWO_TABLES = words(
    """
    where mask replace between map merge join dot isin
    """
)
"""Methods whose second argument by place may be a table that is only read."""
HARMLESS_DECORATORS = frozenset(["property", "staticmethod", "classmethod"])
HARMLESS_DECORATOR_PATHS = frozenset({"dataclasses.dataclass", "functools.wraps", "abc.abstractmethod"})


def opaque(path: str) -> bool:
    """Return whether something of a library gives access to everything."""
    return path.partition(".")[0] in OPAQUE_MODULES and not path.startswith((SHOWING, "builtins."))


def stateless(path: str) -> bool:
    """Return whether calling this of the standard library changes nothing but what it is given."""
    root = path.partition(".")[0]
    return root in _STATELESS and root in sys.stdlib_module_names | {"typing_extensions"}


def curated(path: str) -> bool:
    """Return whether a library is known not to keep what it is given."""
    root = path.partition(".")[0]
    return (
        root in _CURATED
        or path in BARS | LOGGING
        or path in ("logging.getLogger", LOGGER)
        or root in _STATELESS
        or path in PURE_OTHERS | PROCESS_READERS
        or path in file_effects.CALLS
        or path in state_effects.SETTERS
        or any(path == thing or path.startswith(thing + ".") for thing in state_effects.THINGS)
    )


def draws(path: str) -> tuple[str, ...]:
    """Return which of the random states calling this may draw from."""
    root, _, rest = path.partition(".")
    if path in (
        "numpy.random.default_rng",
        "numpy.random.Generator",
        "numpy.random.SeedSequence",
        "random.Random",
    ):
        return ()
    if root in (
        "tqdm",
        "logging",
        "math",
        "json",
        "re",
        "datetime",
        "collections",
        "itertools",
        "functools",
        "operator",
        "copy",
    ):
        return ()
    if root == "numpy":
        return (NUMPY_RANDOM,) if rest.startswith("random") else ()
    if root == "random":
        return (RANDOM,)
    if root in ("pandas", "polars", "pyarrow", "matplotlib", "os", "pathlib", "PIL") or stateless(path):
        return ()
    return RANDOM_STATES


def pure(path: str) -> bool:
    """Return whether a call of this library function leaves what it is given as it is.

    It does for most arguments; which ones make it change others tells `arguments`.
    """
    if state_effects.sets(path):
        return False
    root, _, rest = path.partition(".")
    if root == "numpy":
        return rest in _PURE_NUMPY
    if root == "pandas":
        return rest in _PURE_PANDAS or rest.startswith(_READERS)
    if root in ("math", "cmath"):
        return True
    if root == "json":
        return rest == "dumps"
    if root in (
        "datetime",
        "re",
        "hashlib",
        "calendar",
        "decimal",
        "fractions",
        "base64",
        "html",
        "textwrap",
    ):
        return True
    return path in PURE_OTHERS or path in PROCESS_READERS or path in ("copy.copy", "copy.deepcopy")


def gives(path: str) -> str:
    """Tell what a pure call gives: 'plain', 'fresh' data, 'data' that may share, a 'copy', or 'any'."""
    root, _, rest = path.partition(".")
    if root == "numpy":
        return "fresh" if rest in _FRESH_NUMPY else "data"
    if root == "pandas":
        if rest.startswith(_READERS):
            return "fresh"
        return "plain" if rest in ("Timestamp", "Timedelta") else "data"
    if path == "copy.deepcopy":
        return "copy"
    if path == "os.environ.copy":
        return "any"
    if root in ("math", "cmath", "json", "html", "base64") or path in PROCESS_READERS:
        return "plain"
    return "plain" if root in ("datetime", "fractions") or path in PURE_OTHERS else "any"


def drawn(path: str) -> bool:
    """Return whether a call of `random` gives a number, or one of numpy.random an array of them."""
    numbers = (
        "random",
        "uniform",
        "randint",
        "randrange",
        "gauss",
        "normalvariate",
        "betavariate",
        "expovariate",
    )
    root, _, last = path.rpartition(".")
    if root == "random":
        return last in numbers
    return root == "numpy.random" and last in (
        "rand", "randn", "random", "random_sample", "randint", "normal", "uniform", "poisson", "binomial",
        "exponential", "beta", "gamma", "standard_normal", "lognormal",
    )  # fmt: skip


PLOTTING = words(
    """
    plot scatter bar barh hist boxplot violinplot imshow pie fill_between errorbar step stem axhline axvline
    text annotate title xlabel ylabel legend show figure subplots subplot savefig grid xlim ylim xticks
    yticks tight_layout suptitle colorbar contour contourf hexbin hlines vlines twinx gca gcf margins axis
    """
)
"""Functions of pyplot that draw what they are given and leave it as it is."""


def writes_files(method: str) -> bool:
    """Return whether a method of a table writes it to a file and leaves it as it is."""
    return method in _WRITING_DATA_METHODS


_INERT = words(
    """ nan inf pi e newaxis NaN NA NaT euler_gamma float16 float32 float64 float_ int8 int16 int32 int64
    int_ uint8 uint16 uint32 uint64 bool_ object_ str_ bytes_ datetime64 timedelta64 complex64 complex128
    intp number generic integer floating
    """
)
"""Names in NumPy and pandas of numbers and types."""


def inert(path: str) -> bool:
    """Return whether something of a known library does nothing when whoever is given it calls it."""
    if path in UNPICKLING:
        return False
    last = path.rpartition(".")[2]
    return last in _INERT or last[:1].isupper() or (pure(path) and path not in file_effects.CALLS)


def tags_of(path: str) -> tuple[str, ...]:
    """Return what is used by whoever does something with the result of a call."""
    root, _, rest = path.partition(".")
    found = {"numpy": "numpy.ndarray", "pandas": "pandas.DataFrame"}.get(root, f"{root}.*")
    if rest.startswith(_READERS) and rest != "read_csv":
        return found, "decimal.*"
    return (found,)


LOOKING = (
    "patsy",
    "numexpr",
    "duckdb",
    "pandasql",
    "plotnine",
    "formulaic",
    "polars.sql",
    "statsmodels.formula",
)
"""Libraries that look up the names in a text where they are called."""
