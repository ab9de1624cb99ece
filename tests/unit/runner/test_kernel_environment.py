"""What of the environment reaches runners and kernels."""

from __future__ import annotations

from respawn_jobs.kernel import kernel_environment, runner_environment

SERVICE = {
    "PATH": "/bin",
    "RESPAWN_COOKIE_SECRET": "secret",
    "RESPAWN_DB_URL": "secret",
    "JUPYTERHUB_API_TOKEN": "secret",
    "CONFIGPROXY_AUTH_TOKEN": "secret",
    "JPY_API_TOKEN": "secret",
    "RESPAWN_RESTORE": "/downloads",
}
STORES = {
    "AWS_SECRET_ACCESS_KEY": "key",
    "AWS_ENDPOINT_URL": "url",
    "PGPASSWORD": "word",
    "FSSPEC_S3_KEY": "k",
}


def test_runners_of_a_service_get_neither_its_tokens_nor_the_keys_of_its_stores() -> None:
    assert runner_environment(SERVICE | STORES) == {"PATH": "/bin", "RESPAWN_RESTORE": "/downloads"}


def test_an_administrator_may_pass_variables_to_jobs() -> None:
    given = SERVICE | STORES | {"RESPAWN_PASS_TO_JOBS": "AWS_ENDPOINT_URL, RESPAWN_COOKIE_SECRET"}
    assert runner_environment(given).keys() == {"PATH", "RESPAWN_RESTORE", "AWS_ENDPOINT_URL"}


def test_a_kernel_on_a_persons_own_machine_keeps_what_is_theirs() -> None:
    assert kernel_environment(SERVICE | STORES).keys() == {"PATH", "RESPAWN_RESTORE", *STORES}
