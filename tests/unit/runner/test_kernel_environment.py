"""What of the environment reaches runners and kernels."""

from __future__ import annotations

from jupyter_client.kernelspec import KernelSpec

from respawn_jobs.kernel import kernel_environment, runner_environment, seeded
from respawn_kernels.hash_seed import UNLOCKED, seed_for

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


def spec(lock: str | None = None, **env: str) -> KernelSpec:
    return KernelSpec(env=env, metadata={"respawn": {"lock": lock}} if lock else {})


def seed_of(kernel: KernelSpec, of_state: str | None = None, **environment: str) -> str:
    """Return the seed that a kernel gets: what its kernelspec says takes the place of the environment's."""
    return {**seeded(kernel, environment, of_state), **kernel.env}["PYTHONHASHSEED"]


def test_a_kernels_hash_seed_is_the_states_then_the_specs_then_the_persons_then_the_locks() -> None:
    lock = "ab" * 32
    assert seed_of(spec()) == UNLOCKED
    assert seed_of(spec(lock)) == seed_of(spec(lock, PYTHONHASHSEED=seed_for(lock))) == seed_for(lock)
    assert seed_of(spec(), PYTHONHASHSEED="5") == "5"
    assert seed_of(spec(lock, PYTHONHASHSEED=seed_for(lock)), PYTHONHASHSEED="5") == "5"
    assert seed_of(spec(PYTHONHASHSEED="6"), PYTHONHASHSEED="5") == "6"
    assert seed_of(spec(PYTHONHASHSEED="6"), "7", PYTHONHASHSEED="5") == "7"
    assert seed_of(spec(), "random", PYTHONHASHSEED="") == UNLOCKED
    assert seed_of(spec(), PYTHONHASHSEED="random") == "random"
