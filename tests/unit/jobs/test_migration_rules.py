"""Each migration is of the kind that it says, so that an older replica can go on beside a newer one."""

from __future__ import annotations

import tomllib
from pathlib import Path

import pytest

from respawn_jobs.store.migrating import migrations_of
from respawn_jobs.store.schema import (
    OURS,
    AppliedMigration,
    release_number,
    standing_of,
)
from support.later_schemas import COLUMN, CONTRACTION, EXPANSION, INDEX, release_0_3, script
from support.migration_rules import MigrationText
from support.sources import ROOT

_COLUMN = 'op.add_column("jobs", sa.Column("a", sa.String()))'
_FILES = sorted((OURS.scripts / "versions").glob("v*.py"))


@pytest.mark.parametrize("file", _FILES, ids=lambda file: file.stem)
def test_a_migration_is_of_its_kind(file: Path) -> None:
    migration = MigrationText(file.read_text())
    assert migration.broken() == []
    assert file.name.startswith(f"v{migration.stated['revision']}_")


def test_the_code_knows_its_newest_migration_and_the_newest_that_it_needs() -> None:
    every = migrations_of(OURS)
    assert [one.revision for one in every] == [f"{number:04}" for number in range(1, len(every) + 1)]
    assert every[-1].revision == OURS.head
    assert max(one.revision for one in every if one.kind == "expand") == OURS.needed
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert project["version"].startswith(f"{OURS.release}.")


def test_contractions_come_last_in_their_release_so_that_they_can_wait() -> None:
    order = [(release_number(one.release), one.kind == "contract") for one in migrations_of(OURS)]
    assert order == sorted(order)
    assert order[-1][0] <= release_number(OURS.release)


@pytest.mark.parametrize("body", [EXPANSION, COLUMN, INDEX])
def test_the_check_lets_expansions_pass(body: str) -> None:
    assert MigrationText(script(2, body, release="0.2")).broken() == []


@pytest.mark.parametrize(
    ("line", "why"),
    [
        ('op.drop_column("jobs", "settings")', "more than add"),
        ('op.drop_table("jobs")', "more than add"),
        ('op.rename_table("jobs", "work")', "more than add"),
        ('op.alter_column("jobs", "name", nullable=False)', "more than add"),
        ('op.batch_alter_table("jobs")', "more than add"),
        ('op.create_check_constraint("some", "jobs", "version > 0")', "more than add"),
        ('op.execute("ALTER TABLE jobs RENAME COLUMN name TO title")', "more than add"),
        ('op.add_column("jobs", sa.Column("a", sa.String(), nullable=False))', "NOT NULL"),
        ('op.add_column("jobs", sa.Column("a", sa.String(), unique=True))', "unique"),
        ('op.add_column("runs", sa.Column("a", sa.String(), index=True))', "create_large_index"),
        ('op.add_column("jobs", sa.Column("a", sa.DateTime(), server_default=sa.func.now()))', "rewrites"),
        (
            'op.add_column("jobs", sa.Column("a", sa.String(), sa.ForeignKey("runs.id")))',
            "knows nothing that refers",
        ),
        ('op.create_index("some", "jobs", ["name"], unique=True)', "refuses"),
        ('op.create_index("some", "runs", ["name"])', "create_large_index"),
        (
            'op.create_table("a", sa.Column("run", sa.String(), sa.ForeignKey("runs.id")))',
            "knows nothing that refers",
        ),
        ('op.bulk_insert(sa.table("jobs"), [])', "inserts rows"),
        (_COLUMN + '; op.add_column("audit", sa.Column("a", sa.String()))', "one each"),
        ('op.create_index("some", "jobs", ["name"])\n    ' + _COLUMN, "add columns first"),
        ('create_large_index("a", "runs", ["id"]); op.create_table("b")', "stands alone"),
    ],
)
def test_the_check_sees_what_older_code_cannot_bear(line: str, why: str) -> None:
    body = f"def upgrade() -> None:\n    {line}\n\n\ndef downgrade() -> None:\n    pass\n"
    found = MigrationText(script(2, body, release="0.2")).broken()
    assert [one for one in found if why in one]


@pytest.mark.parametrize(
    ("text", "why"),
    [
        (script(2, "", release="0.2"), "no downgrade"),
        (script(2, EXPANSION, release="0.2", kind="both"), "its kind is both"),
        (script(2, EXPANSION, release="0.3"), "the release before"),
        (script(2, EXPANSION, release="0.2", oldest="0.2"), "the release before"),
        (script(2, CONTRACTION, release="0.3", kind="contract", oldest="0.2"), "its own release"),
    ],
)
def test_the_check_sees_what_a_migration_says_of_itself_and_cannot_be(text: str, why: str) -> None:
    (found,) = MigrationText(text).broken()
    assert why in found


def test_a_contraction_may_drop() -> None:
    text = script(3, CONTRACTION, release="0.3", kind="contract", oldest="0.3")
    assert MigrationText(text).broken() == []


def test_a_migration_tells_its_kind_to_the_code(tmp_path: Path) -> None:
    newest = migrations_of(release_0_3(tmp_path / "migrations"))[-1]
    assert (newest.kind, newest.release, newest.oldest) == ("contract", "0.3", "0.3")
    assert newest.has_way_back


_EXTENDED = AppliedMigration("0002", "expand", "0.2", "0.1")
_AGAIN = AppliedMigration("0003", "expand", "0.3", "0.2")
_CONTRACTED = AppliedMigration("0003", "contract", "0.3", "0.3")


def test_a_database_of_the_code_itself_is_used_without_a_word() -> None:
    standing = standing_of(OURS, OURS.head, [])
    assert standing.usable
    assert standing.message == ""


@pytest.mark.parametrize("revision", [None, "0000"])
def test_a_database_that_lacks_a_migration_is_older(revision: str | None) -> None:
    standing = standing_of(OURS, revision, [])
    assert standing.older
    assert not standing.usable


def test_a_database_of_the_next_release_is_used_and_told() -> None:
    standing = standing_of(OURS, "0002", [_EXTENDED])
    assert standing.usable
    assert "newer version of Respawn (0.2)" in standing.message


def test_a_database_two_releases_on_is_refused_with_who_can_use_it() -> None:
    standing = standing_of(OURS, "0003", [_EXTENDED, _AGAIN])
    assert not standing.usable
    assert "release 0.3 extended it" in standing.message
    assert "only release 0.2 and newer" in standing.message


def test_a_contraction_that_the_code_does_not_know_is_refused_with_what_it_needs() -> None:
    standing = standing_of(OURS, "0003", [_EXTENDED, _CONTRACTED])
    assert not standing.usable
    assert "migration 0003 of release 0.3 removed what release 0.1 uses" in standing.message


@pytest.mark.parametrize("unknown", [[], [_EXTENDED]])
def test_a_newer_database_that_does_not_say_who_may_use_it_is_refused(
    unknown: list[AppliedMigration],
) -> None:
    standing = standing_of(OURS, "9999", unknown)
    assert "does not say" in standing.message
    assert not standing.usable


def test_releases_are_compared_as_numbers() -> None:
    assert release_number("0.10") > release_number("0.9")
    with pytest.raises(ValueError, match="no release"):
        release_number("1")
