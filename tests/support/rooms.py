"""The rooms of each package, and which room may import which: the one table of arrows.

A room is a sub-package; `""` is the package's root. A room may import itself and what stands behind it here,
nothing else of its package. `tests/unit/test_layers.py` holds the code to the table, and the table to having
no circle.
"""

from __future__ import annotations

_GROUND = {""}

KERNELS: dict[str, set[str]] = {
    "": set(),
    "introspection": _GROUND,
    "cell_code": _GROUND,
    "dask": _GROUND,
    "session_state.probe": _GROUND,
    "memory": _GROUND | {"introspection"},
    "host": _GROUND | {"cell_code"},
    "checkpoint": _GROUND | {"host"},
    "exchange": _GROUND | {"checkpoint"},
    "session_state.patching": _GROUND | {"cell_code", "introspection", "session_state.probe"},
    "session_state.calls": _GROUND | {"cell_code", "session_state.patching", "session_state.probe"},
    "session_state.probes": _GROUND,
    "session_state.probes.python": _GROUND
    | {"host", "introspection", "session_state.patching", "session_state.probe"},
    "session_state.probes.ipython": _GROUND | {"host", "session_state.probe"},
    "session_state.probes.libraries": _GROUND | {"session_state.probe", "session_state.patching"},
    "session_state": _GROUND
    | {
        "session_state.calls",
        "session_state.patching",
        "session_state.probe",
        "session_state.probes.ipython",
        "session_state.probes.libraries",
        "session_state.probes.python",
    },
    "pickling": _GROUND | {"host", "introspection", "memory", "session_state.patching"},
    "reducers": _GROUND | {"host", "introspection", "memory", "pickling", "session_state.patching"},
    "streams": _GROUND | {"checkpoint", "introspection", "memory", "pickling", "reducers"},
    "capture": _GROUND
    | {"cell_code", "checkpoint", "host", "introspection", "memory", "pickling", "reducers"}
    | {"session_state", "streams"},
    "fork": _GROUND | {"checkpoint", "exchange", "host"},
    "restore": _GROUND
    | {"capture", "cell_code", "checkpoint", "host", "introspection", "memory", "pickling", "reducers"}
    | {"session_state", "session_state.patching", "streams"},
    "evidence": _GROUND | {"cell_code", "exchange", "session_state"},
    "artifacts": _GROUND | {"exchange", "introspection"},
    "agent": _GROUND
    | {"artifacts", "capture", "cell_code", "checkpoint", "evidence", "exchange", "fork", "host", "memory"}
    | {"restore", "session_state", "session_state.patching"},
    "debug": _GROUND
    | {"agent", "artifacts", "capture", "cell_code", "checkpoint", "exchange", "host", "introspection"}
    | {"restore", "session_state"},
}

JOBS: dict[str, set[str]] = {
    "": set(),
    "host": _GROUND,
    "model": _GROUND,
    "store": _GROUND | {"host"},
    "store.migrations": _GROUND | {"store"},
    "store.migrations.versions": _GROUND | {"store"},
    "api": _GROUND | {"model"},
    "blobs": _GROUND | {"host", "model"},
    "notebook": _GROUND | {"model", "api"},
    "carried": _GROUND | {"api", "model", "notebook"},
    "dataflow.libraries": _GROUND | {"model"},
    "dataflow.interpreter": _GROUND | {"model", "dataflow.libraries"},
    "dataflow": _GROUND | {"model", "dataflow.interpreter", "dataflow.libraries"},
    "resume.invalidation": _GROUND | {"model", "notebook", "dataflow"},
    "resume.files": _GROUND | {"model", "api", "notebook", "dataflow", "resume.invalidation"},
    "resume": _GROUND | {"model", "notebook", "dataflow", "resume.files", "resume.invalidation"},
    "remote": _GROUND | {"model", "api", "blobs"},
    "runner.kernel": _GROUND | {"host", "model", "notebook", "resume"},
    "runner": _GROUND
    | {"host", "model", "api", "blobs", "carried", "notebook", "dataflow", "resume", "remote"}
    | {"runner.kernel"},
    "executors": _GROUND | {"host", "model"},
    "debug": _GROUND | {"model", "api", "blobs", "carried", "notebook", "dataflow", "resume"},
    "ledger.context": _GROUND | {"blobs", "model", "resume.files", "resume.invalidation", "store"},
    "ledger.audit": _GROUND | {"blobs", "ledger.context", "model", "store"},
    "ledger.blobs": _GROUND | {"api", "ledger.context", "store"},
    "ledger.capacity": _GROUND | {"api", "ledger.context", "model", "store"},
    "ledger.runs": _GROUND
    | {"api", "blobs", "ledger.audit", "ledger.blobs", "ledger.capacity", "ledger.context"}
    | {"model", "notebook", "store"},
    "ledger.notices": _GROUND
    | {"ledger.capacity", "ledger.context", "ledger.runs", "model", "notebook", "store"},
    "ledger.jobs": _GROUND
    | {"api", "carried", "ledger.audit", "ledger.blobs", "ledger.capacity", "ledger.context"}
    | {"ledger.notices", "ledger.runs", "model", "notebook", "resume", "store"},
    "ledger.resume": _GROUND
    | {"api", "carried", "ledger.audit", "ledger.blobs", "ledger.capacity", "ledger.context", "ledger.jobs"}
    | {"ledger.runs", "model", "notebook", "resume", "resume.files", "store"},
    "ledger.differences": _GROUND
    | {"api", "blobs", "ledger.context", "ledger.jobs", "ledger.runs", "model", "notebook", "store"},
    "ledger.archive": _GROUND
    | {"api", "blobs", "carried", "host", "ledger.audit", "ledger.blobs", "ledger.capacity"}
    | {"ledger.context", "ledger.jobs", "ledger.runs", "model", "notebook", "store"},
    "ledger.attempts": _GROUND
    | {"api", "carried", "dataflow", "ledger.audit", "ledger.blobs", "ledger.capacity", "ledger.context"}
    | {"ledger.resume", "ledger.runs", "model", "notebook", "resume", "resume.files", "store"},
    "ledger.triggers": _GROUND
    | {"api", "blobs", "ledger.attempts", "ledger.audit", "ledger.capacity", "ledger.context"}
    | {"ledger.runs", "model", "notebook", "store"},
    "ledger.namespaces": _GROUND
    | {"api", "ledger.attempts", "ledger.audit", "ledger.capacity", "ledger.context"}
    | {"ledger.notices", "model", "store"},
    "ledger.job_life": _GROUND
    | {"api", "ledger.attempts", "ledger.audit", "ledger.capacity", "ledger.context"}
    | {"ledger.jobs", "ledger.namespaces", "ledger.runs", "ledger.triggers", "model", "store"},
    "ledger.operations": _GROUND
    | {"api", "ledger.audit", "ledger.blobs", "ledger.capacity", "ledger.context"}
    | {"ledger.namespaces", "ledger.notices", "ledger.runs", "ledger.triggers", "model", "store"},
    "ledger.people": _GROUND
    | {"api", "blobs", "ledger.archive", "ledger.attempts", "ledger.audit", "ledger.blobs"}
    | {"ledger.capacity", "ledger.context", "ledger.differences", "ledger.job_life", "ledger.jobs"}
    | {"ledger.namespaces"}
    | {"ledger.resume", "ledger.runs", "ledger.triggers", "model"},
    "ledger": _GROUND
    | {"blobs", "host", "ledger.attempts", "ledger.audit", "ledger.blobs", "ledger.capacity"}
    | {"ledger.context", "ledger.operations", "ledger.people", "ledger.runs", "ledger.triggers"}
    | {"model", "resume.files", "store"},
    "embedded": _GROUND | {"api", "ledger", "notebook", "runner"},
    "backup": _GROUND
    | {"blobs", "host", "ledger", "ledger.audit", "ledger.blobs", "ledger.context"}
    | {"ledger.operations", "ledger.triggers", "model", "store"},
    "cli.common": _GROUND
    | {"api", "embedded", "host", "ledger", "model", "notebook", "remote", "runner"}
    | {"runner.kernel"},
    "cli.run": _GROUND | {"api", "blobs", "carried", "cli.common", "debug", "embedded", "model", "notebook"},
    "cli.fix": _GROUND | {"api", "carried", "cli.common", "debug", "host", "model", "notebook"},
    "cli.automate": _GROUND | {"api", "cli.common", "model", "notebook"},
    "cli.administer": _GROUND
    | {"api", "backup", "blobs", "cli.common", "embedded", "ledger", "ledger.audit"}
    | {"ledger.context", "ledger.operations", "model", "store"},
    "cli": _GROUND | {"cli.administer", "cli.automate", "cli.common", "cli.fix", "cli.run", "host", "model"},
}

HUB: dict[str, set[str]] = {
    "": {"api", "auth", "hub", "hub_config", "job_servers", "loops", "monitoring", "pages", "runners"}
    | {"startup", "web"},
    "pages": {"api", "auth", "hub", "rendering", "web"},
    "api": {"auth", "monitoring", "web"},
    "auth": {"hub", "monitoring", "startup", "web"},
    "monitoring": {"hub", "notify", "startup"},
    "loops": {"hub", "startup"},
    "runners": {"startup", "web"},
    "job_servers": {"auth", "hub", "web"},
    "hub": {"startup"},
    "notify": set(),
    "rendering": set(),
    "web": set(),
    "startup": set(),
    "hub_config": set(),
    "containers": {"hub_config"},
    "embedded": set(),
}

ROOMS = {"respawn_kernels": KERNELS, "respawn_jobs": JOBS, "respawn_hub": HUB}
