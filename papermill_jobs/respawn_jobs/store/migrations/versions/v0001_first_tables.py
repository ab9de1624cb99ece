"""The first tables: all of `store.tables`, `store.trigger_tables` and `store.service_tables`.

What the columns are for stands there. Tables are made in the order in which they refer to each other.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None
kind = "expand"
release = "0.1"
oldest = "0.1"

ID = sa.String(32)
DIGEST = sa.String(64)
TIME = sa.DateTime(timezone=True)
JSON = sa.JSON(none_as_null=True)


def upgrade() -> None:
    _create_jobs()
    _create_schedules()
    _create_runs()
    _index_runs()
    _create_attempts()
    _create_cells()
    _create_artifacts()
    _create_blobs()
    _create_audit()
    _create_dependencies()
    _create_hooks()
    _create_sensors()
    _create_backfills()
    _create_outbox()
    _create_service()


def _create_jobs() -> None:
    """Jobs, their former names, and the versions of their notebooks."""
    op.create_table(
        "jobs",
        sa.Column("id", ID, primary_key=True),
        sa.Column("namespace", sa.String(255), nullable=False),
        sa.Column("name", sa.String(80), nullable=False),
        sa.Column("version", sa.BigInteger(), nullable=False),
        sa.Column("settings", JSON, nullable=False),
        sa.Column("created_by", sa.String(255), nullable=False),
        sa.Column("created_at", TIME, nullable=False),
        sa.Column("last_run", ID, nullable=True),
        sa.Column("next_deadline", TIME, nullable=True, index=True),
        sa.Column("filed", sa.BigInteger(), nullable=True),
        sa.Column("numbered", sa.BigInteger(), nullable=True),
        sa.Column("archived_at", TIME, nullable=True),
        sa.Column("archived_by", sa.String(255), nullable=True),
        sa.UniqueConstraint("namespace", "name", name="jobs_name_once"),
    )
    op.create_table(
        "former_names",
        sa.Column("namespace", sa.String(255), nullable=False),
        sa.Column("name", sa.String(80), nullable=False),
        sa.Column("job_id", ID, nullable=False, index=True),
        sa.ForeignKeyConstraint(["job_id"], ["jobs.id"], name="fk_former_names_job_id_jobs"),
        sa.PrimaryKeyConstraint("namespace", "name", name="pk_former_names"),
    )
    op.create_table(
        "versions",
        sa.Column("id", ID, primary_key=True),
        sa.Column("job_id", ID, sa.ForeignKey("jobs.id"), nullable=False),
        sa.Column("number", sa.BigInteger(), nullable=False),
        sa.Column("notebook", DIGEST, nullable=False),
        sa.Column("kernel", sa.String(255), nullable=False),
        sa.Column("language", sa.String(80), nullable=False),
        sa.Column("lock", sa.String(128), nullable=True),
        sa.Column("directory", sa.String(), nullable=True),
        sa.Column("source", sa.String(), nullable=True),
        sa.Column("git", JSON, nullable=True),
        sa.Column("parameters", JSON, nullable=False),
        sa.Column("created_by", sa.String(255), nullable=False),
        sa.Column("created_at", TIME, nullable=False),
        sa.Column("parent", sa.BigInteger(), nullable=True),
        sa.Column("authors", JSON, nullable=True),
        sa.Column("files", JSON, nullable=True),
        sa.Column("bundle", DIGEST, nullable=True),
        sa.UniqueConstraint("job_id", "number", name="versions_number_once"),
    )
    op.create_index("versions_of_notebook", "versions", ["notebook"])
    op.create_index("versions_of_bundle", "versions", ["bundle"])


def _create_schedules() -> None:
    """Cron expressions that make runs due."""
    op.create_table(
        "schedules",
        sa.Column("id", ID, primary_key=True),
        sa.Column("job_id", ID, sa.ForeignKey("jobs.id"), nullable=False, index=True),
        sa.Column("cron", sa.String(255), nullable=False),
        sa.Column("tz", sa.String(80), nullable=False),
        sa.Column("paused", sa.Boolean(), nullable=False),
        sa.Column("parameters", JSON, nullable=False),
        sa.Column("next_due", TIME, nullable=True, index=True),
        sa.Column("decided_until", TIME, nullable=True),
        sa.Column("missed", sa.String(8), nullable=False, server_default="latest"),
        sa.Column("max_missed", sa.BigInteger(), nullable=False, server_default="100"),
        sa.Column("created_by", sa.String(255), nullable=False),
        sa.Column("created_at", TIME, nullable=False),
    )


def _create_runs() -> None:
    """Runs; what finds them quickly is `_index_runs`."""
    op.create_table(
        "runs",
        sa.Column("id", ID, primary_key=True),
        sa.Column("job_id", ID, sa.ForeignKey("jobs.id"), nullable=False),
        sa.Column("namespace", sa.String(255), nullable=False, server_default=""),
        sa.Column("version_id", ID, sa.ForeignKey("versions.id"), nullable=False),
        sa.Column("version", sa.BigInteger(), nullable=False),
        sa.Column("kernel", sa.String(255), nullable=False),
        sa.Column("lock", sa.String(128), nullable=True),
        sa.Column("settings", JSON, nullable=False),
        sa.Column("state", sa.String(16), nullable=False),
        sa.Column("parameters", JSON, nullable=False),
        sa.Column("trigger", sa.String(16), nullable=False),
        sa.Column("schedule_id", ID, nullable=True),
        sa.Column("due_at", TIME, nullable=True),
        sa.Column("trigger_id", ID, nullable=True),
        sa.Column("idempotency_key", sa.String(255), nullable=True),
        sa.Column("logical_date", TIME, nullable=False, server_default="1970-01-01 00:00:00"),
        sa.Column("priority", sa.BigInteger(), nullable=False, server_default="0"),
        sa.Column("queue", sa.String(64), nullable=False, server_default="default"),
        sa.Column("not_before", TIME, nullable=True),
        sa.Column("pinned", sa.Boolean(), nullable=False, server_default=sa.false()),
        sa.Column("created_by", sa.String(255), nullable=False),
        sa.Column("created_at", TIME, nullable=False, index=True),
        sa.Column("started_at", TIME, nullable=True),
        sa.Column("finished_at", TIME, nullable=True),
        sa.Column("attempt", sa.BigInteger(), nullable=False),
        sa.Column("current", ID, nullable=True, index=True),
        sa.Column("cells_total", sa.BigInteger(), nullable=False),
        sa.Column("cells_done", sa.BigInteger(), nullable=False),
        sa.Column("error", JSON, nullable=True),
        sa.Column("notebook", DIGEST, nullable=True),
        sa.Column("skeleton", DIGEST, nullable=True),
        sa.Column("origin", ID, nullable=True, index=True),
        sa.Column("resume_of", ID, nullable=True),
        sa.Column("resume_from", sa.BigInteger(), nullable=True),
        sa.Column("resume", JSON, nullable=True),
        sa.Column("retry", JSON, nullable=True),
        sa.Column("imported", JSON, nullable=True),
        sa.Column("authors", JSON, nullable=True),
        sa.Column("cancel_requested", sa.Boolean(), nullable=False),
        sa.Column("revision", sa.BigInteger(), nullable=False),
        sa.Column("state_revision", sa.BigInteger(), nullable=False, server_default="0"),
        sa.UniqueConstraint("schedule_id", "due_at", name="runs_due_once"),
        sa.UniqueConstraint("resume_of", name="runs_resumed_once"),
    )


def _index_runs() -> None:
    op.create_index("runs_in_state", "runs", ["state", "created_at"])
    op.create_index("runs_of_job", "runs", ["job_id", "created_at"])
    op.create_index("runs_of_job_in_state", "runs", ["job_id", "state", "created_at"])
    op.create_index("runs_of_namespace", "runs", ["namespace", "created_at"])
    op.create_index("runs_of_namespace_in_state", "runs", ["namespace", "state", "created_at"])
    op.create_index("runs_of_notebook", "runs", ["notebook"])
    op.create_index("runs_of_period", "runs", ["job_id", "logical_date"])
    op.create_index("runs_of_skeleton", "runs", ["skeleton"])
    op.create_index("runs_of_version", "runs", ["version_id", "created_at"])
    op.create_index("runs_triggered_once", "runs", ["trigger_id", "idempotency_key"], unique=True)
    _index_queue(
        "runs_waiting",
        ["priority", "created_by", "job_id", "queue", "created_at", "id"],
        "lower(state) = 'queued' AND coalesce(current, '') = '' AND not_before IS NULL",
    )
    _index_queue("runs_delayed", ["not_before"], "lower(state) = 'queued' AND not_before IS NOT NULL")


def _index_queue(name: str, columns: list[str], condition: str) -> None:
    """Index only the runs that `condition` names, as it stands in `store.tables`."""
    where = sa.text(condition)
    op.create_index(name, "runs", columns, sqlite_where=where, postgresql_where=where)


def _create_attempts() -> None:
    """Tries at runs."""
    op.create_table(
        "attempts",
        sa.Column("id", ID, primary_key=True),
        sa.Column("run_id", ID, sa.ForeignKey("runs.id"), nullable=False),
        sa.Column("number", sa.BigInteger(), nullable=False),
        sa.Column("state", sa.String(16), nullable=False, index=True),
        sa.Column("executor", sa.String(32), nullable=False),
        sa.Column("profile", sa.String(32), nullable=True),
        sa.Column("replica", ID, nullable=True),
        sa.Column("cause", sa.String(16), nullable=True),
        sa.Column("note", sa.String(), nullable=True),
        sa.Column("token_hash", DIGEST, nullable=False),
        sa.Column("started_at", TIME, nullable=True),
        sa.Column("heartbeat_at", TIME, nullable=True),
        sa.Column("lease_until", TIME, nullable=False),
        sa.Column("finished_at", TIME, nullable=True),
        sa.Column("error", JSON, nullable=True),
        sa.Column("notebook", DIGEST, nullable=True),
        sa.Column("hash_seed", sa.String(16), nullable=True),
        sa.Column("limits", JSON, nullable=True),
        sa.Column("kernel_start", JSON, nullable=True),
        sa.Column("directory", sa.String(), nullable=True),
        sa.UniqueConstraint("run_id", "number", name="attempts_number_once"),
        sa.Column("state_wanted", sa.Boolean(), nullable=False),
    )
    op.create_index("attempts_of_notebook", "attempts", ["notebook"])


def _create_cells() -> None:
    """Cells and checkpoints, of each attempt."""
    op.create_table(
        "cells",
        sa.Column("run_id", ID, sa.ForeignKey("runs.id"), primary_key=True),
        sa.Column("attempt", sa.BigInteger(), primary_key=True),
        sa.Column("index", sa.BigInteger(), primary_key=True),
        sa.Column("cell_id", sa.String(64), nullable=False),
        sa.Column("state", sa.String(16), nullable=False),
        sa.Column("source_hash", DIGEST, nullable=False),
        sa.Column("tags", JSON, nullable=False),
        sa.Column("execution_count", sa.BigInteger(), nullable=True),
        sa.Column("started_at", TIME, nullable=True),
        sa.Column("finished_at", TIME, nullable=True),
        sa.Column("seconds", sa.Double(), nullable=True),
        sa.Column("outputs", DIGEST, nullable=True),
        sa.Column("note", sa.String(), nullable=True),
        sa.Column("parameters_hash", DIGEST, nullable=True),
        sa.Column("lock", sa.String(128), nullable=True),
        sa.Column("evidence", JSON, nullable=True),
        sa.Column("cost", JSON, nullable=True),
        sa.Column("blocked_since", TIME, nullable=True),
    )
    op.create_index("cells_of_outputs", "cells", ["outputs"])
    op.create_table(
        "checkpoints",
        sa.Column("run_id", ID, sa.ForeignKey("runs.id"), primary_key=True),
        sa.Column("attempt", sa.BigInteger(), primary_key=True),
        sa.Column("cell", sa.BigInteger(), primary_key=True),
        sa.Column("manifest", DIGEST, nullable=False),
        sa.Column("variables", sa.BigInteger(), nullable=False),
        sa.Column("size", sa.BigInteger(), nullable=False),
        sa.Column("new_bytes", sa.BigInteger(), nullable=False),
        sa.Column("seconds", sa.Double(), nullable=False),
        sa.Column("unstored", JSON, nullable=False),
        sa.Column("unchecked", JSON, nullable=True),
        sa.Column("blobs", JSON, nullable=False),
    )
    op.create_table(
        "checkpoint_blobs",
        sa.Column("run_id", ID, sa.ForeignKey("runs.id"), primary_key=True),
        sa.Column("digest", DIGEST, primary_key=True),
    )
    op.create_index("checkpoint_blobs_of_digest", "checkpoint_blobs", ["digest"])


def _create_artifacts() -> None:
    """What notebooks keep from within their cells."""
    op.create_table(
        "artifacts",
        sa.Column("run_id", ID, sa.ForeignKey("runs.id"), primary_key=True),
        sa.Column("name", sa.String(450), primary_key=True),
        sa.Column("number", sa.BigInteger(), primary_key=True),
        sa.Column("attempt", sa.BigInteger(), nullable=False),
        sa.Column("made_in", ID, nullable=False, index=True),
        sa.Column("cell", sa.BigInteger(), nullable=True),
        sa.Column("kind", sa.String(32), nullable=False),
        sa.Column("type", sa.String(255), nullable=False),
        sa.Column("description", sa.String(255), nullable=False),
        sa.Column("file", sa.String(255), nullable=False),
        sa.Column("size", sa.BigInteger(), nullable=False),
        sa.Column("saved_at", TIME, nullable=False),
        sa.Column("meta", JSON, nullable=False),
        sa.Column("parts", JSON, nullable=False),
    )
    op.create_table(
        "artifact_blobs",
        sa.Column("digest", DIGEST, primary_key=True),
        sa.Column("run_id", ID, sa.ForeignKey("runs.id"), primary_key=True),
        sa.Column("name", sa.String(450), primary_key=True),
        sa.Column("number", sa.BigInteger(), primary_key=True),
    )
    op.create_index("artifact_blobs_of_artifact", "artifact_blobs", ["run_id", "name", "number"])


def _create_blobs() -> None:
    """Which blobs are stored, and which namespace holds them."""
    op.create_table(
        "blobs",
        sa.Column("digest", DIGEST, primary_key=True),
        sa.Column("touched_at", TIME, nullable=False, index=True),
        sa.Column("removing", sa.Boolean(), nullable=False),
    )
    op.create_table(
        "namespace_blobs",
        sa.Column("namespace", sa.String(255), primary_key=True),
        sa.Column("digest", DIGEST, primary_key=True),
        sa.Column("size", sa.BigInteger(), nullable=False, server_default="0"),
    )
    op.create_index("namespace_blobs_of_digest", "namespace_blobs", ["digest"])
    op.create_index("namespace_blobs_sizes", "namespace_blobs", ["namespace", "size"])
    op.create_table(
        "backups",
        sa.Column("id", ID, primary_key=True),
        sa.Column("started_at", TIME, nullable=False),
        sa.Column("until", TIME, nullable=False),
    )


def _create_audit() -> None:
    """Who did what, as a chain of hashes; its head is one row, which is there from the beginning."""
    op.create_table(
        "audit",
        sa.Column("seq", sa.BigInteger(), primary_key=True, autoincrement=False),
        sa.Column("at", TIME, nullable=False),
        sa.Column("actor", sa.String(255), nullable=False),
        sa.Column("action", sa.String(32), nullable=False),
        sa.Column("namespace", sa.String(255), nullable=False),
        sa.Column("subject", sa.String(255), nullable=False),
        sa.Column("details", JSON, nullable=False),
        sa.Column("previous", DIGEST, nullable=False),
        sa.Column("hash", DIGEST, nullable=False),
        sa.Column("key", sa.String(16), nullable=True),
        sa.Column("mac", DIGEST, nullable=True),
        sa.UniqueConstraint("previous", name="audit_one_chain"),
    )
    op.create_index("audit_of_namespace", "audit", ["namespace", "seq"])
    op.create_index("audit_of_subject", "audit", ["subject", "seq"])
    op.create_table(
        "audit_head",
        sa.Column("id", sa.BigInteger(), primary_key=True, autoincrement=False),
        sa.Column("seq", sa.BigInteger(), nullable=False),
        sa.Column("hash", DIGEST, nullable=False),
    )
    head = sa.table("audit_head", sa.column("id"), sa.column("seq"), sa.column("hash"))
    op.bulk_insert(head, [{"id": 1, "seq": 0, "hash": ""}])


def _create_dependencies() -> None:
    """Jobs that run after others."""
    op.create_table(
        "dependencies",
        sa.Column("id", ID, primary_key=True),
        sa.Column("job_id", ID, sa.ForeignKey("jobs.id"), nullable=False, unique=True),
        sa.Column("trigger_rule", sa.String(16), nullable=False),
        sa.Column("period", sa.String(8), nullable=False),
        sa.Column("tz", sa.String(80), nullable=False),
        sa.Column("parameters", JSON, nullable=False),
        sa.Column("sources", JSON, nullable=False),
        sa.Column("paused", sa.Boolean(), nullable=False),
        sa.Column("created_by", sa.String(255), nullable=False),
        sa.Column("created_at", TIME, nullable=False),
    )
    op.create_table(
        "dependency_upstreams",
        sa.Column("dependency_id", ID, sa.ForeignKey("dependencies.id"), primary_key=True),
        sa.Column("job_id", ID, sa.ForeignKey("jobs.id"), primary_key=True, index=True),
    )


def _create_hooks() -> None:
    """Webhooks, and the signatures that they have accepted."""
    op.create_table(
        "hooks",
        sa.Column("id", ID, primary_key=True),
        sa.Column("job_id", ID, sa.ForeignKey("jobs.id"), nullable=False, index=True),
        sa.Column("salt", sa.String(64), nullable=False),
        sa.Column("key", sa.String(16), nullable=True),
        sa.Column("parameters", JSON, nullable=False),
        sa.Column("accepts", JSON, nullable=False),
        sa.Column("created_by", sa.String(255), nullable=False),
        sa.Column("created_at", TIME, nullable=False),
    )
    op.create_table(
        "hook_calls",
        sa.Column("hook_id", ID, sa.ForeignKey("hooks.id"), primary_key=True),
        sa.Column("message_id", sa.String(128), primary_key=True),
        sa.Column("at", TIME, nullable=False, index=True),
    )


def _create_sensors() -> None:
    """Prefixes of the inbox, and the objects seen under them."""
    op.create_table(
        "sensors",
        sa.Column("id", ID, primary_key=True),
        sa.Column("job_id", ID, sa.ForeignKey("jobs.id"), nullable=False, index=True),
        sa.Column("prefix", sa.String(1024), nullable=False),
        sa.Column("parameter", sa.String(255), nullable=True),
        sa.Column("parameters", JSON, nullable=False),
        sa.Column("next_poke", TIME, nullable=False, index=True),
        sa.Column("message", sa.String(), nullable=True),
        sa.Column("created_by", sa.String(255), nullable=False),
        sa.Column("created_at", TIME, nullable=False),
    )
    op.create_table(
        "sensor_objects",
        sa.Column("sensor_id", ID, sa.ForeignKey("sensors.id"), primary_key=True),
        sa.Column("name_hash", DIGEST, primary_key=True),
        sa.Column("mark", sa.String(255), nullable=False),
        sa.Column("fired", sa.Boolean(), nullable=False),
    )


def _create_backfills() -> None:
    """Runs for a range of dates; and trigger events whose run is no longer kept."""
    op.create_table(
        "backfills",
        sa.Column("id", ID, primary_key=True),
        sa.Column("job_id", ID, sa.ForeignKey("jobs.id"), nullable=False, index=True),
        sa.Column("state", sa.String(16), nullable=False, index=True),
        sa.Column("about", sa.String(), nullable=False),
        sa.Column("parallel", sa.BigInteger(), nullable=False),
        sa.Column("total", sa.BigInteger(), nullable=False),
        sa.Column("made", sa.BigInteger(), nullable=False),
        sa.Column("items", JSON, nullable=False),
        sa.Column("created_by", sa.String(255), nullable=False),
        sa.Column("created_at", TIME, nullable=False),
        sa.Column("finished_at", TIME, nullable=True),
    )
    op.create_table(
        "tombstones",
        sa.Column("trigger_id", ID, primary_key=True),
        sa.Column("idempotency_key", sa.String(255), primary_key=True),
    )


def _create_outbox() -> None:
    """Ended runs to act on, and people to tell."""
    op.create_table(
        "run_outbox",
        sa.Column("consumer", sa.String(16), primary_key=True),
        sa.Column("run_id", ID, primary_key=True),
        sa.Column("at", TIME, nullable=False),
    )
    op.create_table(
        "notices",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), primary_key=True),
        sa.Column("key", sa.String(255), nullable=False),
        sa.Column("job_id", ID, sa.ForeignKey("jobs.id"), nullable=False),
        sa.Column("channel", sa.String(64), nullable=False),
        sa.Column("kind", sa.String(16), nullable=False),
        sa.Column("run_id", ID, nullable=True),
        sa.Column("at", TIME, nullable=False),
        sa.Column("details", JSON, nullable=False),
        sa.Column("not_before", TIME, nullable=False),
        sa.Column("claimed_until", TIME, nullable=True),
        sa.Column("tries", sa.BigInteger(), nullable=False),
        sa.Column("sent_at", TIME, nullable=True, index=True),
        sa.Column("error", sa.String(), nullable=True),
        sa.UniqueConstraint("key", name="notices_once"),
    )
    op.create_index("notices_of_job", "notices", ["job_id", "channel", "kind"])
    op.create_index("notices_of_run", "notices", ["run_id"])


def _create_service() -> None:
    """Limits, owners of namespaces, processes of the service, and what migrations say of themselves."""
    op.create_table(
        "limits",
        sa.Column("kind", sa.String(16), primary_key=True),
        sa.Column("name", sa.String(255), primary_key=True),
        sa.Column("max_running", sa.BigInteger(), nullable=False),
        sa.Column("set_by", sa.String(255), nullable=False),
        sa.Column("set_at", TIME, nullable=False),
    )
    op.create_table(
        "namespaces",
        sa.Column("namespace", sa.String(255), primary_key=True),
        sa.Column("identity", sa.String(64), nullable=True, index=True),
        sa.Column("state", sa.String(16), nullable=False, index=True),
        sa.Column("reason", sa.String(), nullable=True),
        sa.Column("since", TIME, nullable=True),
        sa.Column("former", sa.String(255), nullable=True),
        sa.Column("audit_from", sa.BigInteger(), nullable=False),
    )
    op.create_table(
        "replicas",
        sa.Column("id", ID, primary_key=True),
        sa.Column("host", sa.String(255), nullable=False),
        sa.Column("started_at", TIME, nullable=False),
        sa.Column("seen_at", TIME, nullable=False, index=True),
        sa.Column("slots", sa.BigInteger(), nullable=False),
        sa.Column("busy", sa.BigInteger(), nullable=False),
        sa.Column("draining", sa.Boolean(), nullable=False),
        sa.Column("health", JSON, nullable=False),
        sa.Column("release", sa.String(16), nullable=False),
    )
    op.create_table(
        "leaders",
        sa.Column("task", sa.String(32), primary_key=True),
        sa.Column("replica", sa.String(32), nullable=False),
        sa.Column("address", sa.String(255), nullable=False),
        sa.Column("until", TIME, nullable=False),
    )
    op.create_table(
        "job_servers",
        sa.Column("name", sa.String(64), primary_key=True),
        sa.Column("account", sa.String(255), nullable=False),
        sa.Column("profile", sa.String(32), nullable=False, server_default=""),
        sa.Column("nonce_hash", sa.String(64), nullable=True),
        sa.Column("key_hash", sa.String(64), nullable=True),
        sa.Column("kept", JSON, nullable=True),
        sa.Column("requested_at", TIME, nullable=False),
        sa.UniqueConstraint("account", "profile", name="job_servers_once"),
    )
    op.create_table(
        "unwanted_servers",
        sa.Column("name", sa.String(64), primary_key=True),
        sa.Column("account", sa.String(255), nullable=False),
    )
    op.create_table(
        "server_kernels",
        sa.Column("account", sa.String(255), primary_key=True),
        sa.Column("profile", sa.String(32), primary_key=True),
        sa.Column("kernels", JSON, nullable=False),
        sa.Column("seen_at", TIME, nullable=False),
    )
    op.create_table(
        "missing_places",
        sa.Column("namespace", sa.String(255), primary_key=True),
        sa.Column("profile", sa.String(32), primary_key=True, server_default=""),
        sa.Column("message", sa.String(), nullable=False),
    )
    op.create_table(
        "schema_versions",
        sa.Column("revision", sa.String(32), primary_key=True),
        sa.Column("kind", sa.String(16), nullable=False),
        sa.Column("release", sa.String(16), nullable=False),
        sa.Column("oldest", sa.String(16), nullable=False),
        sa.Column("applied_at", TIME, nullable=False),
    )
