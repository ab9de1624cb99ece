"""Triggers, queues, notices, retention; runs know their namespace, trigger and logical date."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    _create_blobs()
    _create_queue()
    _create_notices()
    _create_after()
    _create_hooks()
    _create_watches()
    _create_backfills()
    _new_columns()
    _new_columns_of_runs()
    _new_indexes_of_runs()
    _fill_in()


def _create_blobs() -> None:
    op.create_table(
        "blobs",
        sa.Column("digest", sa.String(length=64), nullable=False),
        sa.Column("touched_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("removing", sa.Boolean(), nullable=False),
        sa.PrimaryKeyConstraint("digest"),
    )
    op.create_index("ix_blobs_touched_at", "blobs", ["touched_at"], unique=False)


def _create_queue() -> None:
    op.create_table(
        "limits",
        sa.Column("kind", sa.String(length=16), nullable=False),
        sa.Column("name", sa.String(length=255), nullable=False),
        sa.Column("most", sa.BigInteger(), nullable=False),
        sa.Column("set_by", sa.String(length=255), nullable=False),
        sa.Column("set_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("kind", "name"),
    )
    op.create_table(
        "replicas",
        sa.Column("id", sa.String(length=32), nullable=False),
        sa.Column("host", sa.String(length=255), nullable=False),
        sa.Column("started_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("seen_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("places", sa.BigInteger(), nullable=False),
        sa.Column("busy", sa.BigInteger(), nullable=False),
        sa.Column("draining", sa.Boolean(), nullable=False),
        sa.Column("health", sa.JSON(none_as_null=True), nullable=False),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index("ix_replicas_seen_at", "replicas", ["seen_at"], unique=False)
    op.create_table(
        "run_ends",
        sa.Column("consumer", sa.String(length=16), nullable=False),
        sa.Column("run_id", sa.String(length=32), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("consumer", "run_id"),
    )


def _create_notices() -> None:
    op.create_table(
        "notices",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("key", sa.String(length=255), nullable=False),
        sa.Column("job_id", sa.String(length=32), nullable=False),
        sa.Column("channel", sa.String(length=64), nullable=False),
        sa.Column("kind", sa.String(length=16), nullable=False),
        sa.Column("run_id", sa.String(length=32), nullable=True),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("details", sa.JSON(none_as_null=True), nullable=False),
        sa.Column("not_before", sa.DateTime(timezone=True), nullable=False),
        sa.Column("claimed_until", sa.DateTime(timezone=True), nullable=True),
        sa.Column("tries", sa.BigInteger(), nullable=False),
        sa.Column("sent_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("said", sa.String(), nullable=True),
        sa.ForeignKeyConstraint(
            ["job_id"],
            ["jobs.id"],
        ),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("key", name="notices_once"),
    )
    op.create_index("ix_notices_sent_at", "notices", ["sent_at"], unique=False)
    op.create_index("notices_of_job", "notices", ["job_id", "channel", "kind"], unique=False)
    op.create_index("notices_of_run", "notices", ["run_id"], unique=False)


def _create_after() -> None:
    op.create_table(
        "after",
        sa.Column("id", sa.String(length=32), nullable=False),
        sa.Column("job_id", sa.String(length=32), nullable=False),
        sa.Column("needs", sa.String(length=8), nullable=False),
        sa.Column("waits_for", sa.String(length=16), nullable=False),
        sa.Column("period", sa.String(length=8), nullable=False),
        sa.Column("tz", sa.String(length=80), nullable=False),
        sa.Column("parameters", sa.JSON(none_as_null=True), nullable=False),
        sa.Column("sources", sa.JSON(none_as_null=True), nullable=False),
        sa.Column("paused", sa.Boolean(), nullable=False),
        sa.Column("created_by", sa.String(length=255), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["job_id"],
            ["jobs.id"],
        ),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("job_id"),
    )
    op.create_table(
        "after_jobs",
        sa.Column("after_id", sa.String(length=32), nullable=False),
        sa.Column("job_id", sa.String(length=32), nullable=False),
        sa.ForeignKeyConstraint(
            ["after_id"],
            ["after.id"],
        ),
        sa.ForeignKeyConstraint(
            ["job_id"],
            ["jobs.id"],
        ),
        sa.PrimaryKeyConstraint("after_id", "job_id"),
    )
    op.create_index("ix_after_jobs_job_id", "after_jobs", ["job_id"], unique=False)
    op.create_table(
        "spent",
        sa.Column("trigger_id", sa.String(length=32), nullable=False),
        sa.Column("trigger_key", sa.String(length=255), nullable=False),
        sa.PrimaryKeyConstraint("trigger_id", "trigger_key"),
    )


def _create_hooks() -> None:
    op.create_table(
        "hooks",
        sa.Column("id", sa.String(length=32), nullable=False),
        sa.Column("job_id", sa.String(length=32), nullable=False),
        sa.Column("salt", sa.String(length=64), nullable=False),
        sa.Column("parameters", sa.JSON(none_as_null=True), nullable=False),
        sa.Column("accepts", sa.JSON(none_as_null=True), nullable=False),
        sa.Column("created_by", sa.String(length=255), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["job_id"],
            ["jobs.id"],
        ),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index("ix_hooks_job_id", "hooks", ["job_id"], unique=False)
    op.create_table(
        "hook_calls",
        sa.Column("hook_id", sa.String(length=32), nullable=False),
        sa.Column("signature", sa.String(length=64), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["hook_id"],
            ["hooks.id"],
        ),
        sa.PrimaryKeyConstraint("hook_id", "signature"),
    )
    op.create_index("ix_hook_calls_at", "hook_calls", ["at"], unique=False)


def _create_watches() -> None:
    op.create_table(
        "watches",
        sa.Column("id", sa.String(length=32), nullable=False),
        sa.Column("job_id", sa.String(length=32), nullable=False),
        sa.Column("prefix", sa.String(length=1024), nullable=False),
        sa.Column("parameter", sa.String(length=255), nullable=True),
        sa.Column("parameters", sa.JSON(none_as_null=True), nullable=False),
        sa.Column("next_look", sa.DateTime(timezone=True), nullable=False),
        sa.Column("said", sa.String(), nullable=True),
        sa.Column("created_by", sa.String(length=255), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["job_id"],
            ["jobs.id"],
        ),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index("ix_watches_job_id", "watches", ["job_id"], unique=False)
    op.create_index("ix_watches_next_look", "watches", ["next_look"], unique=False)
    op.create_table(
        "watched",
        sa.Column("watch_id", sa.String(length=32), nullable=False),
        sa.Column("name_hash", sa.String(length=64), nullable=False),
        sa.Column("mark", sa.String(length=255), nullable=False),
        sa.Column("fired", sa.Boolean(), nullable=False),
        sa.ForeignKeyConstraint(
            ["watch_id"],
            ["watches.id"],
        ),
        sa.PrimaryKeyConstraint("watch_id", "name_hash"),
    )


def _create_backfills() -> None:
    op.create_table(
        "backfills",
        sa.Column("id", sa.String(length=32), nullable=False),
        sa.Column("job_id", sa.String(length=32), nullable=False),
        sa.Column("state", sa.String(length=16), nullable=False),
        sa.Column("about", sa.String(), nullable=False),
        sa.Column("parallel", sa.BigInteger(), nullable=False),
        sa.Column("total", sa.BigInteger(), nullable=False),
        sa.Column("made", sa.BigInteger(), nullable=False),
        sa.Column("items", sa.JSON(none_as_null=True), nullable=False),
        sa.Column("created_by", sa.String(length=255), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("finished_at", sa.DateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(
            ["job_id"],
            ["jobs.id"],
        ),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index("ix_backfills_job_id", "backfills", ["job_id"], unique=False)
    op.create_index("ix_backfills_state", "backfills", ["state"], unique=False)


def _new_columns() -> None:
    op.add_column("attempts", sa.Column("replica", sa.String(length=32), nullable=True))
    op.add_column("attempts", sa.Column("cause", sa.String(length=16), nullable=True))
    op.add_column("attempts", sa.Column("note", sa.String(), nullable=True))
    op.create_index("attempts_of_notebook", "attempts", ["notebook"], unique=False)
    op.create_index("audit_of_subject", "audit", ["subject", "seq"], unique=False)
    op.create_index("audit_of_namespace", "audit", ["namespace", "seq"], unique=False)
    op.drop_index("ix_audit_namespace", "audit")
    op.create_index("cells_of_outputs", "cells", ["outputs"], unique=False)
    op.create_index("checkpoint_blobs_of_digest", "checkpoint_blobs", ["digest"], unique=False)
    op.add_column("jobs", sa.Column("next_deadline", sa.DateTime(timezone=True), nullable=True))
    op.create_index("ix_jobs_next_deadline", "jobs", ["next_deadline"], unique=False)
    op.create_index("namespace_blobs_of_digest", "namespace_blobs", ["digest"], unique=False)
    op.add_column("schedules", sa.Column("decided_until", sa.DateTime(timezone=True), nullable=True))
    op.add_column(
        "schedules", sa.Column("missed", sa.String(length=8), server_default="latest", nullable=False)
    )
    op.add_column(
        "schedules", sa.Column("missed_most", sa.BigInteger(), server_default="100", nullable=False)
    )
    op.create_index("versions_of_notebook", "versions", ["notebook"], unique=False)


def _new_columns_of_runs() -> None:
    op.add_column("runs", sa.Column("namespace", sa.String(length=255), server_default="", nullable=False))
    op.add_column("runs", sa.Column("trigger_id", sa.String(length=32), nullable=True))
    op.add_column("runs", sa.Column("trigger_key", sa.String(length=255), nullable=True))
    op.add_column(
        "runs",
        sa.Column(
            "logical_at", sa.DateTime(timezone=True), server_default="1970-01-01 00:00:00", nullable=False
        ),
    )
    op.add_column("runs", sa.Column("priority", sa.BigInteger(), server_default="0", nullable=False))
    op.add_column("runs", sa.Column("queue", sa.String(length=64), server_default="default", nullable=False))
    op.add_column("runs", sa.Column("not_before", sa.DateTime(timezone=True), nullable=True))
    op.add_column("runs", sa.Column("pinned", sa.Boolean(), server_default=sa.false(), nullable=False))
    op.add_column("runs", sa.Column("retry", sa.JSON(none_as_null=True), nullable=True))
    op.add_column("runs", sa.Column("turned", sa.BigInteger(), server_default="0", nullable=False))
    op.add_column("runs", sa.Column("imported", sa.JSON(none_as_null=True), nullable=True))


def _new_indexes_of_runs() -> None:
    op.create_index("runs_of_job_in_state", "runs", ["job_id", "state", "created_at"], unique=False)
    op.create_index("runs_of_namespace", "runs", ["namespace", "created_at"], unique=False)
    op.create_index("runs_of_namespace_in_state", "runs", ["namespace", "state", "created_at"], unique=False)
    op.create_index("runs_of_notebook", "runs", ["notebook"], unique=False)
    op.create_index("runs_of_period", "runs", ["job_id", "logical_at"], unique=False)
    op.create_index("runs_of_skeleton", "runs", ["skeleton"], unique=False)
    waiting = sa.text("lower(state) = 'queued' AND coalesce(current, '') = '' AND not_before IS NULL")
    op.create_index(
        "runs_waiting",
        "runs",
        ["priority", "created_by", "job_id", "queue", "created_at", "id"],
        unique=False,
        sqlite_where=waiting,
        postgresql_where=waiting,
    )
    delayed = sa.text("lower(state) = 'queued' AND not_before IS NOT NULL")
    op.create_index(
        "runs_delayed",
        "runs",
        ["not_before"],
        unique=False,
        sqlite_where=delayed,
        postgresql_where=delayed,
    )
    op.create_index("runs_triggered_once", "runs", ["trigger_id", "trigger_key"], unique=True)


def _fill_in() -> None:
    """Runs so far: their job's namespace, the schedule that made them, the time that they were due."""
    op.execute("UPDATE runs SET namespace = (SELECT jobs.namespace FROM jobs WHERE jobs.id = runs.job_id)")
    op.execute("UPDATE runs SET logical_at = COALESCE(due_at, created_at)")
    op.execute("UPDATE runs SET trigger_id = schedule_id WHERE schedule_id IS NOT NULL")
    op.execute("UPDATE runs SET trigger_key = id WHERE schedule_id IS NOT NULL")
    # Blobs that were there before count as touched now: nothing is collected before its time.
    op.execute(
        "INSERT INTO blobs (digest, touched_at, removing) "
        "SELECT DISTINCT digest, CURRENT_TIMESTAMP, false FROM namespace_blobs"
    )
