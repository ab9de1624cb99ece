"""Objects that appear in the inbox make runs, once they have settled."""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor

import pytest

from respawn_jobs.access import Actor
from respawn_jobs.api.service import Promotion
from respawn_jobs.api.triggers import SensorRequest
from respawn_jobs.api.versions import JobChange
from respawn_jobs.blobs.blob_store import BlobStore
from respawn_jobs.blobs.inbox import Inbox
from respawn_jobs.errors import Forbidden, InvalidInput, Unavailable
from respawn_jobs.ledger import Ledger
from respawn_jobs.store.database import Database
from support.notebooks import notebook, text

pytestmark = pytest.mark.integration

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
def poke(ledger, ada, clock):
    """Poke as the loop does, after a rest; return the runs that it made."""

    def poke():
        clock.forward(seconds=EVERY + 1)
        return [ada.show(run).run for run in ledger.poke_sensors(EVERY)]

    return poke


def add_sensor(ada, **more):
    return ada.add_sensor(SensorRequest(**{"job": "report", "prefix": "in", "parameter": "path", **more}))


def test_a_new_object_makes_one_run_once_it_has_settled(report, ada, poke, inbox):
    (inbox / "user/ada/in/old.csv").write_text("old")
    made = add_sensor(ada, parameters={"rows": 3})
    assert made.address == str(inbox / "user/ada/in")
    assert poke() == []
    new = inbox / "user/ada/in/deep/new.csv"
    new.parent.mkdir()
    new.write_text("1")
    assert poke() == []
    new.write_text("1,2")  # still being written
    assert poke() == []
    (run,) = poke()
    assert (run.trigger, run.trigger_id, run.parameters) == (
        "sensor", made.id, {"path": str(new), "rows": 3},
    )  # fmt: skip
    assert poke() == []


def test_an_object_that_is_written_again_makes_another_run(report, ada, poke, inbox):
    path = inbox / "user/ada/in/a.csv"
    path.write_text("1")
    add_sensor(ada)
    path.write_text("12")
    os.utime(path, (1_000_000, 1_000_000))
    assert poke() == []
    assert len(poke()) == 1
    os.utime(path, (2_000_000, 2_000_000))
    assert poke() == []
    assert len(poke()) == 1
    os.utime(path, (1_000_000, 1_000_000))  # as it was before: that made its run
    assert poke() == poke() == []


def test_what_appears_while_the_job_is_archived_makes_no_run_later(report, ada, poke, inbox):
    path = inbox / "user/ada/in"
    (path / "changed.csv").write_text("1")
    add_sensor(ada)
    (path / "half.csv").write_text("1")
    assert poke() == []  # seen once
    ada.change_job("report", JobChange(archived=True))
    (path / "new.csv").write_text("1")
    (path / "changed.csv").write_text("12")
    assert poke() == []
    ada.change_job("report", JobChange(archived=False))
    (path / "later.csv").write_text("1")
    assert poke() == []
    (run,) = poke()
    assert run.parameters == {"path": str(path / "later.csv")}
    assert poke() == []


def test_a_job_whose_inbox_is_away_stays_archived_until_it_has_no_sensor(report, ada, poke, inbox):
    made = add_sensor(ada)
    ada.change_job("report", JobChange(archived=True))
    inbox.rename(inbox.with_name("away"))
    with pytest.raises(Unavailable, match=f"the job stays archived.*or remove the sensor {made.id} first"):
        ada.change_job("report", JobChange(archived=False))
    assert ada.job("report").archived_at is not None
    ada.remove_sensor(made.id)
    assert ada.change_job("report", JobChange(archived=False)).archived_at is None


def test_hidden_names_links_and_other_namespaces_are_left_alone(report, ada, poke, inbox, tmp_path):
    add_sensor(ada, prefix="")
    (tmp_path / "secret").mkdir()
    (tmp_path / "secret/key").write_text("x")
    (inbox / "user/ada/in/.half").write_text("x")
    (inbox / "user/ada/in/link").symlink_to(tmp_path / "secret/key")
    (inbox / "user/ada/in/linked").symlink_to(tmp_path / "secret")
    (inbox / "user/bob").mkdir()
    (inbox / "user/bob/theirs").write_text("x")
    assert poke() == poke() == []
    with pytest.raises(InvalidInput, match="symbolic link"):
        add_sensor(ada, prefix="in/linked")


@pytest.mark.parametrize("prefix", ["..", "in/../../bob", "a//b", "./in", "in*", "in\\x", "x" * 600])
def test_a_prefix_that_leads_elsewhere_is_refused(prefix, report, ada):
    with pytest.raises(InvalidInput, match="is not a prefix"):
        add_sensor(ada, prefix=prefix)


def test_a_namespace_that_is_no_directory_name_sees_nothing(inbox):
    with pytest.raises(InvalidInput):
        Inbox(str(inbox)).list_objects("user/..", "")


def test_an_inbox_that_does_not_answer_is_told_and_tried_again(report, ada, poke, inbox, tmp_path):
    add_sensor(ada)
    (inbox / "user/ada/in/a.csv").write_text("1")
    inbox.rename(tmp_path / "away")
    assert poke() == []
    (sensor,) = ada.triggers("report").sensors
    assert "does not answer" in sensor.message
    with pytest.raises(Unavailable):
        add_sensor(ada)
    (tmp_path / "away").rename(inbox)
    assert poke() == []
    assert len(poke()) == 1
    (sensor,) = ada.triggers("report").sensors
    assert sensor.message is None


def test_a_sensor_in_trouble_holds_up_no_other(report, ada, poke, inbox):
    (inbox / "user/ada/bad").mkdir()
    add_sensor(ada, prefix="bad")
    add_sensor(ada)
    (inbox / "user/ada/bad").rmdir()
    (inbox / "user/ada/bad").symlink_to(inbox)
    (inbox / "user/ada/in/a.csv").write_text("1")
    assert poke() == []
    assert len(poke()) == 1
    messages = {sensor.prefix: sensor.message for sensor in ada.triggers("report").sensors}
    assert "symbolic link" in messages["bad"]
    assert messages["in"] is None


@both_databases
def test_several_replicas_make_one_run_for_each_object(report, ada, clock, inbox, store_url, tmp_path):
    add_sensor(ada)
    for number in range(5):
        (inbox / f"user/ada/in/{number}").write_text("x")
    replicas = [opened(tmp_path, store_url, clock, inbox) for _ in range(4)]
    queued = []
    try:
        for _ in range(3):
            clock.forward(seconds=EVERY + 1)
            with ThreadPoolExecutor(4) as pool:
                queued += [
                    run for runs in pool.map(lambda one: one.poke_sensors(EVERY), replicas) for run in runs
                ]
    finally:
        for replica in replicas:
            replica.close()
    assert len(queued) == len(set(queued)) == 5
    assert len({run.parameters["path"] for run in ada.runs()}) == 5


def test_a_sensor_rests_between_pokes_and_ends_when_it_is_removed(report, ada, ledger, poke, clock, inbox):
    made = add_sensor(ada)
    (inbox / "user/ada/in/a.csv").write_text("1")
    assert poke() == []
    clock.forward(seconds=EVERY - 1)
    assert ledger.poke_sensors(EVERY) == []
    ada.remove_sensor(made.id)
    assert poke() == poke() == []
    assert ada.triggers("report").sensors == []


def test_only_who_may_edit_a_job_gives_it_a_sensor(report, ada, bob, ledger):
    made = add_sensor(ada)
    with pytest.raises(Forbidden):
        bob.add_sensor(SensorRequest(job="user/ada/report", prefix=""))
    with pytest.raises(Forbidden):
        bob.remove_sensor(made.id)
    with pytest.raises(InvalidInput, match="unknown parameter 'file'"):
        add_sensor(ada, parameter="file")
    assert ledger.as_actor(Actor.owner("root")).triggers("user/ada/report").sensors == [made]


def test_without_an_inbox_no_sensor_can_be_made(tmp_path, clock):
    plain = Ledger.embedded(tmp_path / "plain", clock=clock)
    service = plain.as_actor(Actor.owner("ada"))
    service.promote(Promotion(name="report", notebook=text(notebook("print(1)"))))
    with pytest.raises(InvalidInput, match="RESPAWN_INBOX_URL"):
        service.add_sensor(SensorRequest(job="report", prefix="in"))
    assert plain.poke_sensors(EVERY) == []
    plain.close()
