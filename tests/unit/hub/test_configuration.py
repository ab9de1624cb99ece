"""`respawn_hub.configure(c)` adds to what a hub's configuration holds, and replaces nothing of it."""

from __future__ import annotations

import asyncio
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from jupyterhub.auth import DummyAuthenticator
from jupyterhub.services import service as services
from jupyterhub.spawner import Spawner
from tornado.web import HTTPError
from traitlets.config import Config

import respawn_hub
from respawn_hub.hub_config import quick_restart


@pytest.fixture
def config() -> Config:
    return Config()


def _role(config: Config, name: str) -> dict:
    return next(role for role in config.JupyterHub.load_roles if role["name"] == name)


def _service(config: Config) -> dict:
    return next(service for service in config.JupyterHub.services if service["name"] == "respawn")


def test_one_line_is_enough(config: Config, tmp_path: Path) -> None:
    respawn_hub.configure(config, data=tmp_path)

    service = _service(config)
    assert service["command"][1:] == ["-m", "respawn_hub"]
    assert service["oauth_no_confirm"] is True
    assert service["environment"]["RESPAWN_DATA"] == str(tmp_path)
    assert config.Spawner.environment["RESPAWN_URL"] == f"{service['url']}/services/respawn"
    assert {"custom:respawn:read", "custom:respawn:admin"} <= set(config.JupyterHub.custom_scopes)


def test_people_keep_the_hubs_own_rights_and_get_their_namespace(config: Config, tmp_path: Path) -> None:
    respawn_hub.configure(config, data=tmp_path)

    assert _role(config, "user")["scopes"] == [
        "self",
        "access:services!service=respawn",
        "custom:respawn:edit!user",
    ]


def test_servers_keep_the_hubs_own_rights(config: Config, tmp_path: Path) -> None:
    respawn_hub.configure(config, data=tmp_path)

    scopes = _role(config, "server")["scopes"]
    assert {"users:activity!user", "access:servers!server", "custom:respawn:edit!user"} <= set(scopes)
    # Unfiltered, an administrator's server could change everybody's jobs.
    assert not {"custom:respawn:edit", "custom:respawn:admin"} & set(scopes)


def test_people_only_read_where_not_everyone_may_run_code(config: Config, tmp_path: Path) -> None:
    respawn_hub.configure(config, data=tmp_path, everyone=False)

    assert "custom:respawn:read!user" in _role(config, "user")["scopes"]
    assert "custom:respawn:edit!user" not in _role(config, "user")["scopes"]


def _environment(config: Config, tmp_path: Path, **options: Any) -> dict[str, str]:
    respawn_hub.configure(config, data=tmp_path, **options)
    found: dict[str, str] = _service(config)["environment"]
    return found


def _one_person(config: Config) -> None:
    config.JupyterHub.authenticator_class = "shared-password"
    config.JupyterHub.spawner_class = "simple"
    config.Authenticator.allowed_users = {"ada"}


def test_a_hub_that_admits_one_name_is_for_one_person(config: Config, tmp_path: Path) -> None:
    _one_person(config)

    assert _environment(config, tmp_path)["RESPAWN_SHARED"] == "no"
    assert config.Authenticator.allow_existing_users is False, "nobody is added while it runs"


def test_an_administrator_alone_is_one_person(config: Config, tmp_path: Path) -> None:
    _one_person(config)
    config.Authenticator.admin_users = {"ada"}

    assert _environment(config, tmp_path)["RESPAWN_SHARED"] == "no"


class _Anybody(DummyAuthenticator):
    """Admits whom it likes."""


@pytest.mark.parametrize(
    ("section", "name", "value"),
    [
        ("Authenticator", "allowed_users", {"ada", "bob"}),
        ("Authenticator", "allowed_users", set()),
        ("Authenticator", "admin_users", {"root"}),
        ("SharedPasswordAuthenticator", "admin_users", {"root"}),
        ("Authenticator", "allow_all", True),
        ("Authenticator", "allow_existing_users", True),
        ("DummyAuthenticator", "allow_all", True),
        ("PAMAuthenticator", "allowed_groups", {"staff"}),
        ("PAMAuthenticator", "admin_groups", {"wheel"}),
        ("JupyterHub", "authenticator_class", "oauthenticator.github.GitHubOAuthenticator"),
        ("JupyterHub", "authenticator_class", _Anybody),
        ("JupyterHub", "spawner_class", "dockerspawner.DockerSpawner"),
    ],
)
def test_every_other_hub_may_be_for_several(
    config: Config, tmp_path: Path, section: str, name: str, value: object
) -> None:
    _one_person(config)
    setattr(config[section], name, value)
    given = config.Authenticator.get("allow_existing_users")

    environment = _environment(config, tmp_path)

    assert environment["RESPAWN_SHARED"] == "yes"
    assert "RESPAWN_JOBS_SHARE_AN_ACCOUNT" not in environment
    assert config.Authenticator.get("allow_existing_users") == given


def test_the_administrators_word_is_passed_on(config: Config, tmp_path: Path) -> None:
    environment = _environment(config, tmp_path, jobs_share_an_account=True)
    assert environment["RESPAWN_JOBS_SHARE_AN_ACCOUNT"] == "yes"


def test_a_hub_looks_after_its_services_every_few_seconds(config: Config, tmp_path: Path) -> None:
    respawn_hub.configure(config, data=tmp_path)
    respawn_hub.configure(Config(), data=tmp_path)

    spawner = services._ServiceSpawner(cmd=["true"])
    assert spawner.poll_interval == quick_restart.LOOK_SECONDS
    assert Spawner().poll_interval == 30, "those of users stay as they are"


def test_what_is_there_already_stays(config: Config, tmp_path: Path) -> None:
    config.JupyterHub.services = [{"name": "cull"}]
    config.JupyterHub.load_roles = [{"name": "user", "scopes": ["self", "list:services"]}, {"name": "cull"}]
    config.JupyterHub.custom_scopes = {"custom:other:read": {"description": "Other."}}
    config.Spawner.environment = {"LANG": "C.UTF-8", "RESPAWN_URL": "https://elsewhere"}
    config.Spawner.server_token_scopes = ["users:activity!user"]

    respawn_hub.configure(config, data=tmp_path)

    assert [service["name"] for service in config.JupyterHub.services] == ["cull", "respawn"]
    assert _role(config, "user")["scopes"][:2] == ["self", "list:services"]
    assert _role(config, "cull") == {"name": "cull"}
    assert "custom:other:read" in config.JupyterHub.custom_scopes
    assert config.Spawner.environment == {"LANG": "C.UTF-8", "RESPAWN_URL": "https://elsewhere"}
    assert config.Spawner.server_token_scopes[0] == "users:activity!user"
    assert "custom:respawn:edit!user" in config.Spawner.server_token_scopes


def test_lists_that_were_only_appended_to_stay(config: Config, tmp_path: Path) -> None:
    config.JupyterHub.services.append({"name": "cull"})
    config.JupyterHub.extra_user_scopes.add("list:services")

    respawn_hub.configure(config, data=tmp_path)

    assert [service["name"] for service in config.JupyterHub.services] == ["cull", "respawn"]
    assert {"self", "list:services"} <= set(_role(config, "user")["scopes"])


def test_administrators_of_the_hub_administer_respawn(config: Config, tmp_path: Path) -> None:
    config.Authenticator.admin_users = {"root", "grace"}

    respawn_hub.configure(config, data=tmp_path)

    assert _role(config, "respawn-admin")["users"] == ["grace", "root"]


def test_the_service_gets_storage_settings_but_no_tokens(
    config: Config, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:7480")
    monkeypatch.setenv("RESPAWN_MAX_RUNNING", "2")
    monkeypatch.setenv("RESPAWN_TOKEN", "secret")

    respawn_hub.configure(
        config, data=tmp_path, db_url="sqlite:///x.db", blobs_url="s3://bucket", environment={"A": "1"}
    )

    environment = _service(config)["environment"]
    assert environment["AWS_ENDPOINT_URL"] == "http://127.0.0.1:7480"
    assert environment["RESPAWN_MAX_RUNNING"] == "2"
    assert environment["RESPAWN_DB_URL"] == "sqlite:///x.db"
    assert environment["RESPAWN_BLOBS_URL"] == "s3://bucket"
    assert environment["A"] == "1"
    assert "RESPAWN_TOKEN" not in environment


def test_the_port_stays_over_restarts_of_the_hub(tmp_path: Path) -> None:
    first, second = Config(), Config()
    respawn_hub.configure(first, data=tmp_path)
    respawn_hub.configure(second, data=tmp_path)

    assert _service(first)["url"] == _service(second)["url"]


@pytest.mark.parametrize(
    ("name", "value"), [("base_url", "/hubs/one/"), ("bind_url", "http://127.0.0.1:8000/hubs/one/")]
)
def test_a_base_url_is_part_of_the_address_for_servers(
    config: Config, tmp_path: Path, name: str, value: str
) -> None:
    setattr(config.JupyterHub, name, value)

    respawn_hub.configure(config, data=tmp_path, port=4321)

    assert config.Spawner.environment["RESPAWN_URL"] == "http://127.0.0.1:4321/hubs/one/services/respawn"


def test_replicas_that_others_start_are_an_external_service(config: Config, tmp_path: Path) -> None:
    respawn_hub.configure(
        config, data=tmp_path, external_url="http://respawn.internal:10101/", external_token="secret"
    )
    (service,) = config.JupyterHub.services
    assert service["url"] == "http://respawn.internal:10101"
    assert service["api_token"] == "secret"
    assert "command" not in service
    assert config.Spawner.environment["RESPAWN_URL"] == "http://respawn.internal:10101/services/respawn"
    assert not (tmp_path / "service-port").exists()


def test_replicas_without_a_token_are_refused(config: Config, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="go together"):
        respawn_hub.configure(config, data=tmp_path, external_url="http://respawn.internal:10101")
    assert "services" not in config.JupyterHub


def test_the_hub_executor_adds_named_servers_the_right_to_start_them_and_a_hook(tmp_path: Path) -> None:
    config = Config()
    seen: list[str] = []
    config.Spawner.pre_spawn_hook = lambda spawner: seen.append(spawner.name)
    respawn_hub.configure(config, data=tmp_path, executor="hub", team_accounts={"team/risk": "risk-jobs"})
    (service,) = config.JupyterHub.services
    assert service["environment"]["RESPAWN_EXECUTOR"] == "hub"
    assert service["environment"]["RESPAWN_TEAM_ACCOUNTS"] == "team/risk=risk-jobs"
    assert config.JupyterHub.allow_named_servers is True
    scopes = {scope for role in config.JupyterHub.load_roles for scope in role["scopes"]}
    assert "servers" in scopes
    assert "admin:servers" not in scopes

    def spawner(name: str, **options: str) -> SimpleNamespace:
        return SimpleNamespace(name=name, user_options=options, cmd=["theirs"], environment={"A": "b"})

    hook = config.Spawner.pre_spawn_hook
    own, theirs, forged = spawner("respawn-1", respawn_nonce="n"), spawner(""), spawner("respawn-2")
    for one in (own, theirs):
        asyncio.run(hook(one))
    assert own.cmd[-2:] == ["-m", "respawn_server.job_server"]
    assert own.environment == {"A": "b", "RESPAWN_JOB_SERVER_NONCE": "n"}
    assert (theirs.cmd, theirs.environment) == (["theirs"], {"A": "b"})
    with pytest.raises(HTTPError, match="403"):
        asyncio.run(hook(forged))
    assert forged.cmd == ["theirs"]
    assert seen == ["respawn-1", "", "respawn-2"]


@pytest.mark.parametrize(("option", "value"), [("environment", {"A": "b"}), ("pre_spawn_hook", print)])
def test_settings_of_one_spawner_that_would_hide_ours_are_refused(
    tmp_path: Path, option: str, value: object
) -> None:
    config = Config()
    config.DockerSpawner[option] = value
    with pytest.raises(ValueError, match=rf"c\.DockerSpawner\.{option} .* Set c\.Spawner\.{option} instead"):
        respawn_hub.configure(config, data=tmp_path / "data", executor="hub")
    assert "services" not in config.JupyterHub
    assert not (tmp_path / "data").exists()


def test_replicas_may_have_the_hub_executor(tmp_path: Path) -> None:
    config = Config()
    respawn_hub.configure(
        config, data=tmp_path, executor="hub", external_url="http://r:1/", external_token="secret"
    )
    [service] = config.JupyterHub.services
    assert (service["url"], service["api_token"]) == ("http://r:1", "secret")
    assert "command" not in service
    assert config.JupyterHub.allow_named_servers
    assert config.Spawner.pre_spawn_hook is not None


@pytest.mark.parametrize(
    ("names", "options", "executor"),
    [
        (set(), {}, "hub"),
        ({"ada", "eve"}, {}, "hub"),
        ({"ada"}, {}, "local"),
        ({"ada"}, {"executor": "hub"}, "hub"),
        ({"ada", "eve"}, {"executor": "local"}, "local"),
        ({"ada", "eve"}, {"jobs_share_an_account": True}, "local"),
        ({"ada", "eve"}, {"external_url": "http://r:1/", "external_token": "secret"}, None),
    ],
)
def test_jobs_run_as_their_owners_where_several_people_use_the_hub(
    tmp_path: Path, names: set[str], options: dict[str, Any], executor: str | None
) -> None:
    config = Config()
    config.JupyterHub.authenticator_class = "dummy"
    config.Authenticator.allowed_users = names
    respawn_hub.configure(config, data=tmp_path, **options)
    (service,) = config.JupyterHub.services
    assert service.get("environment", {}).get("RESPAWN_EXECUTOR") == executor
    assert ("pre_spawn_hook" in config.Spawner) is (executor == "hub")
