"""One step of another way to store a session, alone in a process, for bench_snapshot.py.

    python snapshot_peer.py (dill|cloudpickle|metaflow) (store|load) DIRECTORY [IMPORTS] < code

`store` runs the code as a notebook's in `__main__`, stores all of it and says how long that took and how
many bytes it made; `load` brings it back in a process that has seen nothing of it, and evaluates the
expressions that it is given, a line each. Answers are one line of JSON.
"""

from __future__ import annotations

import json
import os
import sys
import time
import types
from pathlib import Path
from typing import Any

contender, action, place = sys.argv[1], sys.argv[2], Path(sys.argv[3])
code = sys.stdin.read()
main = types.ModuleType("__main__")
sys.modules["__main__"] = main
names = vars(main)


def users() -> dict[str, Any]:
    """Return the variables of the notebook, without modules, which are imported again."""
    return {
        name: value
        for name, value in names.items()
        if not name.startswith("__") and not isinstance(value, types.ModuleType)
    }


def dill_store() -> None:
    """Store with dill's session."""
    import dill

    dill.dump_session(str(place / "session.dill"), main=main)


def dill_load() -> None:
    """Load dill's session."""
    import dill

    dill.load_session(str(place / "session.dill"), main=main)


def cloudpickle_store() -> None:
    """Store one dictionary of all variables with cloudpickle."""
    import cloudpickle

    with (place / "session.pickle").open("wb") as file:
        cloudpickle.dump(users(), file)


def cloudpickle_load() -> None:
    """Load it with pickle."""
    import pickle

    with (place / "session.pickle").open("rb") as file:
        names.update(pickle.load(file))


def metaflow(mode: str) -> Any:
    """Return Metaflow's store of one task, on files."""
    from metaflow.datastore import FlowDataStore
    from metaflow.plugins.datastores.local_storage import LocalStorage

    store = FlowDataStore("Bench", None, storage_impl=LocalStorage, ds_root=str(place))
    return store.get_task_datastore("1", "start", "1", attempt=0, mode=mode)


def metaflow_store() -> None:
    """Store each variable as an artifact of a task; those that its pickle refuses are left out."""
    from metaflow.datastore.exceptions import DataException

    store = metaflow("w")
    store.init_task()
    for name, value in users().items():
        try:
            store.save_artifacts(iter([(name, value)]))
        except DataException:
            continue
    store.done()


def metaflow_load() -> None:
    """Load the artifacts; those that do not load are left out."""
    from metaflow.datastore.exceptions import DataException

    store = metaflow("r")
    for name in [name for name, _ in store.items() if name != "name"]:
        try:
            names.update(store.load_artifacts([name]))
        except (AttributeError, DataException):
            continue


def main_step() -> dict[str, Any]:
    """Do the step and return what is to be told."""
    work = globals()[f"{contender}_{action}"]
    __import__(contender)  # a session that stores itself has it
    exec("".join(sys.argv[4:]))
    if action == "store":
        exec(compile(code, "<cell>", "exec"), names)
    started = time.perf_counter()
    work()
    seconds = time.perf_counter() - started
    if action == "load":
        told = {"seconds": seconds, "after": []}
        for line in code.splitlines():
            eval(line, names)
            told["after"].append(time.perf_counter() - started)
        return told
    files = [path for path in place.rglob("*") if path.is_file()]
    for path in files:
        descriptor = os.open(path, os.O_RDONLY)
        os.fsync(descriptor)
        os.close(descriptor)
    durable = time.perf_counter() - started
    return {"seconds": seconds, "durable": durable, "bytes": sum(path.stat().st_size for path in files)}


if __name__ == "__main__":
    print(json.dumps(main_step()))
