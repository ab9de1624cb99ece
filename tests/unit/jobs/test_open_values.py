"""An older client reads what a newer service answers: values that it does not know are `unknown`, not an end.

Every answer and every request of the interfaces is tried, in documents that are made from their schemas, so
what is added later is tried as well.
"""

from __future__ import annotations

import copy
import json
from collections.abc import Iterator
from typing import Any, get_type_hints

import pytest
from pydantic import ValidationError

from respawn_jobs.api import service
from respawn_jobs.api.runner_protocol import HeartbeatAnswer, RunnerPort
from respawn_jobs.api.service import Service
from respawn_jobs.model.base import Model
from respawn_jobs.model.open_values import AS_ANSWER, UNKNOWN, OpenEnum
from respawn_jobs.model.runs import CellState, Run, RunState
from respawn_jobs.model.settings import JobSettings
from respawn_jobs.model.validation_errors import in_words
from respawn_jobs.remote.connection import read, read_many
from support.schema_documents import Documents, changed, models_in, renamed, value_at

SEEDS = range(3)
NEW = "what-a-newer-service-says"


def hints(*, answers: bool) -> list[type[Model]]:
    """The models that the methods of both interfaces return, or take."""
    found: dict[str, type[Model]] = {}
    for interface in (Service, RunnerPort):
        for name in dir(interface):
            method = getattr(interface, name)
            if name.startswith("_") or not callable(method):
                continue
            told = get_type_hints(method, localns=vars(service))
            returned = told.pop("return", None)
            for hint in [returned] if answers else list(told.values()):
                found |= {model.__name__: model for model in models_in(hint) if issubclass(model, Model)}
    return [found[name] for name in sorted(found)]


ANSWERS, REQUESTS = hints(answers=True), hints(answers=False)


def documents(model: type[Model]) -> Iterator[tuple[int, Documents, dict[str, Any]]]:
    for seed in SEEDS:
        maker = Documents(model, seed)
        yield seed, maker, maker.make()


def test_the_interfaces_have_answers_and_requests_with_enumerations():
    names = {model.__name__ for model in ANSWERS}
    assert {"Run", "RunDetail", "Job", "Plan", "Backfill", "Triggers", "HeartbeatAnswer"} <= names
    assert {"RunRequest", "Promotion", "DependencyRequest", "Outcome"} <= {one.__name__ for one in REQUESTS}


@pytest.mark.parametrize("model", ANSWERS, ids=lambda model: model.__name__)
def test_an_answer_with_any_one_value_that_nobody_knows_is_read(model: type[Model]):
    for seed, maker, document in documents(model):
        assert read(model, json.dumps(document).encode()), seed
        for place in maker.places:
            print(f"{model.__name__} seed={seed} place={place}")
            newer = changed(document, place, NEW)
            told = read(model, json.dumps(newer).encode())
            assert value_at(told.model_dump(mode="json", exclude_none=False), place) == UNKNOWN
            assert read_many(model, json.dumps([document, newer, document]).encode())[1] == told
        for place in maker.keys:
            print(f"{model.__name__} seed={seed} key={place}")
            told = read(model, json.dumps(renamed(document, place, NEW)).encode())
            assert UNKNOWN in value_at(told.model_dump(mode="json"), place[:-1])


@pytest.mark.parametrize("model", ANSWERS, ids=lambda model: model.__name__)
def test_what_is_no_answer_is_read_strictly(model: type[Model]):
    for seed, maker, document in documents(model):
        for place in maker.places:
            print(f"{model.__name__} seed={seed} place={place}")
            for value in (NEW, UNKNOWN):
                with pytest.raises(ValidationError):
                    model.model_validate(changed(document, place, value))


@pytest.mark.parametrize("model", REQUESTS, ids=lambda model: model.__name__)
def test_a_request_with_a_value_that_nobody_knows_is_refused_in_plain_words(model: type[Model]):
    for seed, maker, document in documents(model):
        model.model_validate(document)
        newer = [changed(document, place, value) for place in maker.places for value in (NEW, UNKNOWN)]
        newer += [renamed(document, place, NEW) for place in maker.keys]
        for one in newer:
            print(f"{model.__name__} seed={seed}")
            with pytest.raises(ValidationError) as refused:
                model.model_validate(one)
            assert " must be '" in in_words(refused.value.errors()[0], place=False)


@pytest.mark.parametrize("model", [*ANSWERS, *REQUESTS], ids=lambda model: model.__name__)
def test_no_schema_offers_what_only_readers_of_answers_have(model: type[Model]):
    for mode in ("validation", "serialization"):
        assert f'"{UNKNOWN}"' not in json.dumps(model.model_json_schema(mode=mode))


def test_a_list_with_one_run_of_an_unknown_state_is_read():
    document = Documents(Run, 0).make()
    runs = [document | {"state": "queued"}, document | {"state": NEW}]
    told = read_many(Run, json.dumps(runs).encode())
    assert [run.state for run in told] == [RunState.QUEUED, RunState.unknown()]


def test_a_run_of_an_unknown_state_has_ended_when_the_service_says_when():
    run = Run.model_validate(Documents(Run, 0).make() | {"finished_at": None})
    ended = {"finished_at": "2026-03-01T04:00:00Z"}
    assert not run.model_copy(update={"state": RunState.unknown()}).over
    assert Run.model_validate(run.model_dump() | {"state": NEW} | ended, context=AS_ANSWER).over
    assert not Run.model_validate(run.model_dump() | {"state": "queued"} | ended).over


def test_a_state_that_is_unknown_is_not_final():
    state = RunState.unknown()
    assert (state, state.value, str(state), state.known) == ("unknown", "unknown", "unknown", False)
    assert (state.final, state.resumable, state.executing) == (False, False, False)
    assert all(one.known for one in RunState)


def test_what_is_unknown_is_one_object_and_no_member():
    assert RunState.unknown() is RunState.unknown()
    assert copy.deepcopy(RunState.unknown()) is RunState.unknown()
    assert RunState.unknown() is not CellState.unknown()
    for kind in OpenEnum.__subclasses__():
        assert kind.unknown() not in list(kind)
        with pytest.raises(ValueError, match="unknown"):
            kind(UNKNOWN)


def test_what_is_unknown_is_not_taken_for_a_request_by_the_service():
    """A client that sends back what it read changes nothing: the service refuses what was left open."""
    settings = JobSettings.model_validate({"overlap": NEW}, context={"open": True})
    with pytest.raises(ValidationError, match="overlap"):
        JobSettings.model_validate_json(settings.model_dump_json())


def test_a_runner_goes_on_at_a_command_that_it_does_not_know():
    assert read(HeartbeatAnswer, b'{"command": "pause"}').command != "cancel"


def test_what_is_of_another_kind_is_still_refused():
    document = Documents(Run, 0).make()
    with pytest.raises(Exception, match=r"cannot be read here: `state` must be"):
        read(Run, json.dumps(document | {"state": 7}).encode())
