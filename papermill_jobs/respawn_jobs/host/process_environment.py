"""What of an environment reaches a kernel, and what of a service's own reaches the runners that it starts.

A service is started with secrets of its own: of its database, its object store, its mail server, its cloud.
Nobody can list the names of all secrets, so a runner gets what is on a list of what notebooks need, and what
the administrator names. `respawn run` is another case: what a person has in their environment is theirs.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping
from urllib.parse import urlsplit

from respawn_environments.kernel_variables import KEPT, kernel_environment
from respawn_environments.warm.warm_kernels import SETTING, max_zygotes
from respawn_jobs.host import own_directories
from respawn_jobs.host.own_directories import KEEP_DAYS

logger = logging.getLogger(__name__)

_PASSED = "RESPAWN_PASS_TO_JOBS"
READY_KERNELS, READY_MEMORY = "RESPAWN_READY_KERNELS", "RESPAWN_READY_MEMORY"
"""How many kernels a runner lets wait for its next attempts, and how much memory they have together."""
KEPT_KERNELS = "RESPAWN_KEPT_KERNELS"
"""The directory where runners show the kernels of failed runs that they keep; without it they keep none."""
PROFILE_VARIABLE = "RESPAWN_JOB_PROFILE"
"""The profile that a job server was started with; the hub's hook sets it, for messages."""
IMAGE_VARIABLES = ("JUPYTER_IMAGE_SPEC", "JUPYTER_IMAGE")
"""By which Spawners of containers say from which image a server is."""
USUAL_READY_KERNELS, USUAL_READY_MEMORY = 4, 1 << 30
"""What they are where nobody sets them; bytes."""
_FOR_RUNNERS = {
    "RESPAWN_LOG_FORMAT",
    SETTING,
    READY_KERNELS,
    READY_MEMORY,
    own_directories.SETTING,
    KEEP_DAYS,
    KEPT_KERNELS,
    PROFILE_VARIABLE,
    *IMAGE_VARIABLES,
}

_ACCOUNT = """
    PATH HOME USER LOGNAME SHELL PWD HOSTNAME TERM COLUMNS LINES TMPDIR TEMP TMP
    XDG_CACHE_HOME XDG_CONFIG_HOME XDG_DATA_HOME XDG_STATE_HOME XDG_RUNTIME_DIR XDG_DATA_DIRS XDG_CONFIG_DIRS
"""
_LANGUAGE = "LANG LANGUAGE LC_* TZ TZDIR"
_PYTHON = """
    VIRTUAL_ENV CONDA_PREFIX CONDA_DEFAULT_ENV CONDA_ROOT CONDA_EXE MAMBA_ROOT_PREFIX PYENV_ROOT PYENV_VERSION
    PYTHONPATH PYTHONHOME PYTHONPLATLIBDIR PYTHONSAFEPATH PYTHONNOUSERSITE PYTHONUSERBASE PYTHONPYCACHEPREFIX
    PYTHONDONTWRITEBYTECODE PYTHONOPTIMIZE PYTHONHASHSEED PYTHONINTMAXSTRDIGITS PYTHONUTF8 PYTHONIOENCODING
    PYTHONCOERCECLOCALE PYTHONUNBUFFERED PYTHONWARNINGS PYTHONDEVMODE PYTHONFAULTHANDLER PYTHONTRACEMALLOC
    PYTHONMALLOC PYTHONASYNCIODEBUG PYTHON_CPU_COUNT PYTHON_GIL PYTHON_COLORS
"""
_JUPYTER = """
    JUPYTER_PATH JUPYTER_DATA_DIR JUPYTER_RUNTIME_DIR JUPYTER_CONFIG_DIR JUPYTER_CONFIG_PATH
    JUPYTER_PREFER_ENV_PATH JUPYTER_PLATFORM_DIRS JUPYTER_NO_CONFIG IPYTHONDIR MPLBACKEND MPLCONFIGDIR
"""
_OTHER_LANGUAGES = """
    JAVA_HOME R_HOME R_LIBS R_LIBS_USER R_LIBS_SITE JULIA_DEPOT_PATH JULIA_LOAD_PATH JULIA_NUM_THREADS
    SPARK_HOME HADOOP_HOME HADOOP_CONF_DIR GDAL_DATA PROJ_DATA PROJ_LIB
"""
_LINKING = "LD_LIBRARY_PATH LD_PRELOAD DYLD_LIBRARY_PATH MALLOC_* GLIBC_TUNABLES"
_PROCESSORS = """
    CUDA_* NVIDIA_* NCCL_* ROCR_VISIBLE_DEVICES HIP_VISIBLE_DEVICES ROCM_PATH ZE_AFFINITY_MASK
    OMP_* KMP_* MKL_* OPENBLAS_* GOTO_NUM_THREADS BLIS_NUM_THREADS VECLIB_MAXIMUM_THREADS
    NUMEXPR_NUM_THREADS NUMEXPR_MAX_THREADS NUMBA_* POLARS_MAX_THREADS RAYON_NUM_THREADS
    XLA_FLAGS TF_NUM_INTRAOP_THREADS TF_NUM_INTEROP_THREADS PYTORCH_CUDA_ALLOC_CONF
"""
_CERTIFICATES = "SSL_CERT_FILE SSL_CERT_DIR REQUESTS_CA_BUNDLE CURL_CA_BUNDLE"
_NEEDED = tuple(
    " ".join(
        (
            _ACCOUNT,
            _LANGUAGE,
            _PYTHON,
            _JUPYTER,
            _OTHER_LANGUAGES,
            _LINKING,
            _PROCESSORS,
            _CERTIFICATES,
        )
    ).split()
)
_PROXIES = {"http_proxy", "https_proxy", "ftp_proxy", "all_proxy", "no_proxy"}


def runner_environment(environ: Mapping[str, str]) -> dict[str, str]:
    """Return the environment for a runner that a service starts: what notebooks need, and what is passed on.

    `RESPAWN_PASS_TO_JOBS` names, with commas between them, variables that jobs get as well; `*` at the end of
    a name stands for all that begin so. Respawn's own and the hub's are never passed on.

    Args:
        environ: the service's environment.
    """
    patterns = [name.strip() for name in environ.get(_PASSED, "").split(",") if name.strip()]
    passed = {
        name: value
        for name, value in kernel_environment(environ).items()
        if name in KEPT or _matches(name, patterns) or _needed(name, value)
    }
    return passed | {name: environ[name] for name in _FOR_RUNNERS if name in environ}


def check_warm_kernels(given: str) -> None:
    """Raise ValueError where runners could not read what a service says of their warm kernels.

    Args:
        given: the value of `RESPAWN_WARM_KERNELS`.
    """
    max_zygotes({SETTING: given})


def _needed(name: str, value: str) -> bool:
    if name.lower() in _PROXIES:
        return not _carries_password(name, value)
    return _matches(name, _NEEDED)


def _carries_password(name: str, value: str) -> bool:
    """Return whether a proxy's address holds credentials; a job gets those only when somebody says so."""
    try:
        carries = "@" in value or urlsplit(value).password is not None
    except ValueError:  # no address at all: what it is instead, nobody knows
        carries = True
    if carries:
        logger.warning("jobs do not get %s, which holds credentials; see %s", name, _PASSED)
    return carries


def _matches(name: str, patterns: Iterable[str]) -> bool:
    return any(
        name.startswith(pattern[:-1]) if pattern.endswith("*") else name == pattern for pattern in patterns
    )
