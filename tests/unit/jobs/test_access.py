import pytest

from respawn_jobs.access import Actor, check_namespace
from respawn_jobs.errors import Forbidden, InvalidInput


def actor(*scopes: str) -> Actor:
    return Actor("ada", frozenset(scopes))


def test_a_filtered_scope_allows_its_namespace_alone():
    ada = actor("custom:respawn:run!user=ada")
    assert ada.allows("run", "user/ada")
    assert not ada.allows("run", "user/ada2")
    assert not ada.allows("run", "team/ada")


def test_a_group_scope_is_for_the_team():
    risk = actor("custom:respawn:edit!group=risk")
    assert risk.allows("edit", "team/risk")
    assert not risk.allows("read", "user/risk")


@pytest.mark.parametrize(
    ("granted", "allowed"),
    [
        ("read", {"read"}),
        ("run", {"read", "run"}),
        ("edit", {"read", "run", "edit"}),
        ("admin", {"read", "run", "edit", "admin"}),
    ],
)
def test_each_action_includes_the_ones_before_it(granted, allowed):
    someone = actor(f"custom:respawn:{granted}!user=ada")
    assert {a for a in ("read", "run", "edit", "admin") if someone.allows(a, "user/ada")} == allowed


@pytest.mark.parametrize(
    "scope",
    [
        "custom:respawn:own!user=ada",
        "custom:respawn:edit!server=ada/",
        "custom:respawn:edit!user=",
        "custom:respawn:edit!",
        "custom:other:edit",
        "admin:users",
        "self",
    ],
)
def test_other_scopes_give_nothing(scope):
    assert not actor(scope).allows("read", "user/ada")
    assert actor(scope).readable() == frozenset()


def test_membership_of_a_group_gives_nothing_by_itself():
    assert not Actor("ada", frozenset(), frozenset({"risk"})).allows("read", "team/risk")


def test_an_owner_may_do_everything():
    owner = Actor.owner("ada")
    assert owner.allows("admin", "team/risk")
    assert owner.readable() is None


def test_a_refusal_names_whose_it_is_and_who_asks():
    with pytest.raises(Forbidden, match="run-1 belongs to user/bob; you are ada"):
        actor("custom:respawn:edit!user=ada").require("read", "user/bob", "run-1")


def test_a_refusal_to_someone_who_may_look_names_the_scope():
    with pytest.raises(Forbidden, match="custom:respawn:run"):
        actor("custom:respawn:read!group=risk").require("run", "team/risk", "run-1")


@pytest.mark.parametrize("namespace", ["ada", "user/", "group/x", "user/a/b", "", "user/a b"])
def test_a_malformed_namespace_is_refused(namespace):
    with pytest.raises(InvalidInput, match="not a namespace"):
        check_namespace(namespace)
