"""The face of each room: the modules of it that other rooms import. All others are the room's own.

`ALL` stands for a room of which others may import every module: words, interfaces, and tools that stand
alone. `"."` is the room's package itself. Faces are modules and not names that `__init__` re-exports: an
import of one thing of a room loads that thing alone, so kernels and the command start fast.
`tests/unit/test_layers.py` holds the code to the table.
"""

from __future__ import annotations

ALL = None
MAX_FACE = 12
"""Modules of a face that is not the whole room."""

Faces = dict[str, set[str] | None]


def _modules(names: str) -> set[str]:
    return set(names.split())


KERNELS: Faces = {
    "introspection": ALL,
    "cell_code": ALL,
    "dask": ALL,
    "session_state.probe": ALL,
    "memory": ALL,
    "host": ALL,
    "checkpoint": ALL,
    "exchange": ALL,
    "session_state.patching": _modules(
        ". baseline class_attributes container_contents iterator_counts library_registries "
        "patches value_marks visible_modules"
    ),
    "session_state.calls": _modules("."),
    "session_state.probes": _modules(""),
    "session_state.probes.python": ALL,
    "session_state.probes.ipython": ALL,
    "session_state.probes.libraries": ALL,
    "session_state": _modules("."),
    "pickling": _modules(
        "instances iterator_warnings namespace_pickler omitted_attributes references replaced_functions"
    ),
    "reducers": _modules("arrays borrowed_memory object_strings session_objects"),
    "streams": _modules("deep_nesting group_stream partial_load stream_comparison stream_reader time_limit"),
    "capture": _modules("engine grouping ownership"),
    "fork": _modules("fork"),
    "restore": _modules("ipython_hooks report restore unchanged_objects"),
    "evidence": _modules(". recording"),
    "artifacts": _modules("api"),
    "agent": _modules("hidden_cells"),
    "debug": _modules("magics"),
}

JOBS: Faces = {
    "host": ALL,
    "model": ALL,
    "store": _modules("columns database migrating pieces schema service_tables tables trigger_tables"),
    "store.migrations": _modules(""),
    "store.migrations.versions": _modules(""),
    "api": ALL,
    "blobs": ALL,
    "carried": _modules("archive changes finding fixed"),
    "notebook": _modules(
        "cell_numbers content_digest diff document injected_values masking normalization "
        "parameter_values parameterization parameters promotion secret_parameters"
    ),
    "dataflow.libraries": ALL,
    "dataflow.interpreter": _modules("attribute_hooks ipython_source scopes state statements trace values"),
    "dataflow": _modules(". addresses live_names observation prediction_check"),
    "resume.invalidation": ALL,
    "resume.files": ALL,
    "resume": _modules("carry_over draft plan scratch_cells unrestored"),
    "remote": _modules("client job_server"),
    "runner.kernel": _modules(
        "agent_client cell_meter front_end early_kernel held_child kernel_process limit_watch"
        " limited_processes notebook_client output_limits ready_kernels spool"
    ),
    "runner": _modules("attempt recorder"),
    "executors": ALL,
    "debug": _modules("artifacts notebook running state_download work_files"),
    "ledger.context": ALL,
    "ledger.audit": ALL,
    "ledger.blobs": ALL,
    "ledger.capacity": ALL,
    "ledger.runs": _modules(
        "artifacts authorship cell_records masked_parameters outbox pins queries retention revisions "
        "rows run_parameters work_directory"
    ),
    "ledger.notices": ALL,
    "ledger.jobs": _modules(
        "catalog current_version environments kernel_places promotion settings trigger_compatibility "
        "version_contents"
    ),
    "ledger.resume": ALL,
    "ledger.differences": ALL,
    "ledger.archive": ALL,
    "ledger.attempts": _modules(
        "cancellation dispatch lease_watch lifecycle runner_port state_requests suspended_runs"
    ),
    "ledger.triggers": _modules(
        "backfills completion dependencies graph schedule_changes scheduling sensor_baseline sensors "
        "webhook_signatures webhooks"
    ),
    "ledger.namespaces": ALL,
    "ledger.job_life": ALL,
    "ledger.operations": _modules(
        "job_server_ops maintenance notice_ops owner_ops rotation stats store_verification trigger_ops"
    ),
    "ledger.people": _modules("actor_service"),
    "ledger": _modules("."),
    "embedded": _modules("local_store"),
    "backup": _modules("."),
    "cli.common": ALL,
    "cli.run": ALL,
    "cli.fix": ALL,
    "cli.automate": _modules("backfills dependencies hooks limits schedules sensors"),
    "cli.administer": _modules("admin audit kernels"),
    "cli": _modules(""),
}

HUB: Faces = {
    "pages": _modules("errors routes templating"),
    "api": _modules("artifacts live_events routes triggers"),
    "auth": ALL,
    "monitoring": _modules("health hub_watch wiring"),
    "loops": _modules("drain user_sync wiring"),
    "runners": _modules("context routes server"),
    "job_servers": _modules("accounts beside executor hub_servers led places routes"),
    "hub": _modules("client people"),
    "notify": _modules("channels notifier"),
    "rendering": _modules(". artifact_previews export grid long_text"),
    "web": ALL,
    "startup": ALL,
    "hub_config": _modules("configuration data_lock spawn_refusals"),
    "containers": _modules(""),
    "embedded": _modules(""),
}

FACES: dict[str, Faces] = {"respawn_kernels": KERNELS, "respawn_jobs": JOBS, "respawn_hub": HUB}
