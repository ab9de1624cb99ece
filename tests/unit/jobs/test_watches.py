"""Objects that appear in the inbox make runs, once they have settled."""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor

import pytest

from respawn_jobs.access import Actor
from respawn_jobs.blobs import BlobStore
from respawn_jobs.errors import Forbidden, InvalidInput, Unavailable
from respawn_jobs.inbox import Inbox
from respawn_jobs.ledger import Ledger
from respawn_jobs.service import Promotion
from respawn_jobs.service_triggers import WatchRequest
from respawn_jobs.service_versions import JobChange
from respawn_jobs.store.database import Database
from support.notebooks import notebook, text

both_databases = pytest.mark.parametrize("database_kind", ["sqlite", "postgresql"], indirect=True)
EVERY = 30.0


@pytest.fixture
def inbox(tmp_path):
    path = tmp_path / "inbox"
    (path / "user/ada/in").mkdir(parents=True)
    return path


@pytest.fixture
def ledger(tmp_path, store_url, clock, inbox):
    """A ledger with an inbox."""
    with_inbox = opened(tmp_path, store_url, clock, inbox)
    yield with_inbox
    with_inbox.close()


def opened(tmp_path, url, clock, inbox):
    database = Database(url)
    database.prepare()
    blobs = BlobStore((tmp_path / "blobs").as_uri())
    return Ledger(database, blobs, clock=clock, inbox_url=str(inbox))


@pytest.fixture
def report(ada):
    ada.promote(
        Promotion(name="report", notebook=text(notebook("print(1)", parameters="path = ''\nrows = 1")))
    )


@pytest.fixture
def look(ledger, ada, clock):
    """Look as the loop does, after a rest; return the runs that it made."""

    def look():
        clock.forward(seconds=EVERY + 1)
        return [ada.show(run).run for run in ledger.look(EVERY)]

    return look


def watching(ada, **more):
    return ada.watch(WatchRequest(**{"job": "report", "prefix": "in", "parameter": "path", **more}))


def test_a_new_object_makes_one_run_once_it_has_settled(report, ada, look, inbox):
    (inbox / "user/ada/in/old.csv").write_text("old")
    made = watching(ada, parameters={"rows": 3})
    assert made.address == str(inbox / "user/ada/in")
    assert look() == []
    new = inbox / "user/ada/in/deep/new.csv"
    new.parent.mkdir()
    new.write_text("1")
    assert look() == []
    new.write_text("1,2")  # still being written
    assert look() == []
    (run,) = look()
    assert (run.trigger, run.trigger_id, run.parameters) == (
        "object", made.id, {"path": str(new), "rows": 3},
    )  # fmt: skip
    assert look() == []


def test_an_object_that_is_written_again_makes_another_run(report, ada, look, inbox):
    path = inbox / "user/ada/in/a.csv"
    path.write_text("1")
    watching(ada)
    path.write_text("12")
    os.utime(path, (1_000_000, 1_000_000))
    assert look() == []
    assert len(look()) == 1
    os.utime(path, (2_000_000, 2_000_000))
    assert look() == []
    assert len(look()) == 1
    os.utime(path, (1_000_000, 1_000_000))  # as it was before: that made its run
    assert look() == look() == []


def test_what_appears_while_the_job_is_archived_makes_no_run_later(report, ada, look, inbox):
    path = inbox / "user/ada/in"
    (path / "changed.csv").write_text("1")
    watching(ada)
    (path / "half.csv").write_text("1")
    assert look() == []  # seen once
    ada.change_job("report", JobChange(archived=True))
    (path / "new.csv").write_text("1")
    (path / "changed.csv").write_text("12")
    assert look() == []
    ada.change_job("report", JobChange(archived=False))
    (path / "later.csv").write_text("1")
    assert look() == []
    (run,) = look()
    assert run.parameters == {"path": str(path / "later.csv")}
    assert look() == []


def test_a_job_whose_inbox_is_away_stays_archived_until_it_watches_no_more(report, ada, look, inbox):
    made = watching(ada)
    ada.change_job("report", JobChange(archived=True))
    inbox.rename(inbox.with_name("away"))
    with pytest.raises(Unavailable, match=f"the job stays archived.*or remove the watch {made.id} first"):
        ada.change_job("report", JobChange(archived=False))
    assert ada.job("report").archived_at is not None
    ada.unwatch(made.id)
    assert ada.change_job("report", JobChange(archived=False)).archived_at is None


def test_hidden_names_links_and_other_namespaces_are_left_alone(report, ada, look, inbox, tmp_path):
    watching(ada, prefix="")
    (tmp_path / "secret").mkdir()
    (tmp_path / "secret/key").write_text("x")
    (inbox / "user/ada/in/.half").write_text("x")
    (inbox / "user/ada/in/link").symlink_to(tmp_path / "secret/key")
    (inbox / "user/ada/in/linked").symlink_to(tmp_path / "secret")
    (inbox / "user/bob").mkdir()
    (inbox / "user/bob/theirs").write_text("x")
    assert look() == look() == []
    with pytest.raises(InvalidInput, match="symbolic link"):
        watching(ada, prefix="in/linked")


@pytest.mark.parametrize("prefix", ["..", "in/../../bob", "a//b", "./in", "in*", "in\\x", "x" * 600])
def test_a_prefix_that_leads_elsewhere_is_refused(prefix, report, ada):
    with pytest.raises(InvalidInput, match="is not a prefix"):
        watching(ada, prefix=prefix)


def test_a_namespace_that_is_no_directory_name_sees_nothing(inbox):
    with pytest.raises(InvalidInput):
        Inbox(str(inbox)).look("user/..", "")


def test_an_inbox_that_does_not_answer_is_told_and_tried_again(report, ada, look, inbox, tmp_path):
    watching(ada)
    (inbox / "user/ada/in/a.csv").write_text("1")
    inbox.rename(tmp_path / "away")
    assert look() == []
    (watch,) = ada.triggers("report").watches
    assert "does not answer" in watch.said
    with pytest.raises(Unavailable):
        watching(ada)
    (tmp_path / "away").rename(inbox)
    assert look() == []
    assert len(look()) == 1
    (watch,) = ada.triggers("report").watches
    assert watch.said is None


def test_a_watch_in_trouble_holds_up_no_other(report, ada, look, inbox):
    (inbox / "user/ada/bad").mkdir()
    watching(ada, prefix="bad")
    watching(ada)
    (inbox / "user/ada/bad").rmdir()
    (inbox / "user/ada/bad").symlink_to(inbox)
    (inbox / "user/ada/in/a.csv").write_text("1")
    assert look() == []
    assert len(look()) == 1
    said = {watch.prefix: watch.said for watch in ada.triggers("report").watches}
    assert "symbolic link" in said["bad"]
    assert said["in"] is None


@both_databases
def test_several_replicas_make_one_run_for_each_object(report, ada, clock, inbox, store_url, tmp_path):
    watching(ada)
    for number in range(5):
        (inbox / f"user/ada/in/{number}").write_text("x")
    replicas = [opened(tmp_path, store_url, clock, inbox) for _ in range(4)]
    queued = []
    try:
        for _ in range(3):
            clock.forward(seconds=EVERY + 1)
            with ThreadPoolExecutor(4) as pool:
                queued += [run for runs in pool.map(lambda one: one.look(EVERY), replicas) for run in runs]
    finally:
        for replica in replicas:
            replica.close()
    assert len(queued) == len(set(queued)) == 5
    assert len({run.parameters["path"] for run in ada.runs()}) == 5


def test_a_watch_rests_between_looks_and_ends_when_it_is_removed(report, ada, ledger, look, clock, inbox):
    made = watching(ada)
    (inbox / "user/ada/in/a.csv").write_text("1")
    assert look() == []
    clock.forward(seconds=EVERY - 1)
    assert ledger.look(EVERY) == []
    ada.unwatch(made.id)
    assert look() == look() == []
    assert ada.triggers("report").watches == []


def test_only_who_may_edit_a_job_watches_for_it(report, ada, bob, ledger):
    made = watching(ada)
    with pytest.raises(Forbidden):
        bob.watch(WatchRequest(job="user/ada/report", prefix=""))
    with pytest.raises(Forbidden):
        bob.unwatch(made.id)
    with pytest.raises(InvalidInput, match="unknown parameter 'file'"):
        watching(ada, parameter="file")
    assert ledger.as_actor(Actor.owner("root")).triggers("user/ada/report").watches == [made]


def test_without_an_inbox_nothing_can_be_watched(tmp_path, clock):
    plain = Ledger.embedded(tmp_path / "plain", clock=clock)
    service = plain.as_actor(Actor.owner("ada"))
    service.promote(Promotion(name="report", notebook=text(notebook("print(1)"))))
    with pytest.raises(InvalidInput, match="RESPAWN_INBOX_URL"):
        service.watch(WatchRequest(job="report", prefix="in"))
    assert plain.look(EVERY) == []
    plain.close()
