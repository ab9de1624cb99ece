"""What of the environment reaches runners and kernels."""

from __future__ import annotations

import random
import string

import pytest
from jupyter_client.kernelspec import KernelSpec

from respawn_environments.kernel_variables import kernel_environment, relative_place
from respawn_environments.warm.warm_kernels import SETTING, WarmKernels, max_zygotes
from respawn_environments.warm.zygote_process import NeverWarm, NotWarm
from respawn_jobs.host.process_environment import runner_environment
from respawn_jobs.runner.kernel.kernel_process import seeded
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


SECRETS = {
    "AZURE_CLIENT_SECRET": "secret",
    "AZURE_STORAGE_CONNECTION_STRING": "secret",
    "GOOGLE_APPLICATION_CREDENTIALS": "/etc/key.json",
    "SMTP_PASSWORD": "secret",
    "DATABASE_URL": "postgresql://ada:secret@db/x",
    "GITHUB_TOKEN": "secret",
    "SECRET": "secret",
    "PIP_INDEX_URL": "https://ada:secret@index/simple",
    "PATHS": "not PATH",
    "LCX": "not LC_*",
}
NEEDED = {
    "PATH": "/bin",
    "HOME": "/srv/ada",
    "LANG": "C.UTF-8",
    "LC_TIME": "de_DE.UTF-8",
    "TZ": "Europe/Berlin",
    "TMPDIR": "/scratch",
    "VIRTUAL_ENV": "/venv",
    "PYTHONPATH": "/site",
    "JUPYTER_PATH": "/kernels",
    "CUDA_VISIBLE_DEVICES": "0",
    "NVIDIA_VISIBLE_DEVICES": "all",
    "OMP_NUM_THREADS": "2",
    "OPENBLAS_NUM_THREADS": "2",
    "https_proxy": "http://proxy:3128",
    "NO_PROXY": "localhost",
    "SSL_CERT_FILE": "/etc/ca.pem",
}


def test_runners_of_a_service_get_what_notebooks_need_and_nothing_else() -> None:
    given = SERVICE | STORES | SECRETS | NEEDED
    assert runner_environment(given) == NEEDED | {"RESPAWN_RESTORE": "/downloads"}


def test_a_variable_that_nobody_has_heard_of_stays_with_the_service() -> None:
    seed = random.randrange(2**32)
    draw = random.Random(seed)
    names = {
        "Q" + "".join(draw.choices(string.ascii_uppercase + "_", k=draw.randint(3, 12))) for _ in range(500)
    }
    unknown = dict.fromkeys(names, "secret")
    assert runner_environment(unknown) == {}, f"seed {seed}"


def test_runners_are_told_how_many_zygotes_they_may_have() -> None:
    assert runner_environment({"RESPAWN_WARM_KERNELS": "no"}) == {"RESPAWN_WARM_KERNELS": "no"}
    assert kernel_environment({"RESPAWN_WARM_KERNELS": "no"}) == {}
    assert [max_zygotes({SETTING: given}) for given in ("", "yes", "no", "7")] == [3, 3, 0, 7]
    with pytest.raises(ValueError, match="is yes, no or a number of zygotes, not 'many'"):
        max_zygotes({SETTING: "many"})


def test_a_proxy_with_a_password_is_kept_back_and_named(caplog: pytest.LogCaptureFixture) -> None:
    assert runner_environment({"HTTPS_PROXY": "http://ada:pw-of-ada@proxy:3128", "PATH": "/bin"}) == {
        "PATH": "/bin"
    }
    assert "jobs do not get HTTPS_PROXY" in caplog.text
    assert "pw-of-ada" not in caplog.text
    passed = {"HTTPS_PROXY": "http://ada:pw@proxy:3128", "RESPAWN_PASS_TO_JOBS": "HTTPS_PROXY"}
    assert runner_environment(passed).keys() == {"HTTPS_PROXY"}


def test_an_administrator_may_pass_variables_to_jobs() -> None:
    names = "AWS_ENDPOINT_URL, RESPAWN_COOKIE_SECRET,AZURE_*, RESPAWN_*,JUPYTERHUB_*"
    got = runner_environment(SERVICE | STORES | SECRETS | {"RESPAWN_PASS_TO_JOBS": names})
    azure = {name for name in SECRETS if name.startswith("AZURE_")}
    assert got.keys() == {"PATH", "RESPAWN_RESTORE", "AWS_ENDPOINT_URL", *azure}


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


@pytest.mark.parametrize(
    ("value", "relative"),
    [
        ("/a", False),
        ("/a:/b", False),
        ("", False),
        ("a", True),
        ("/a:", True),
        ("/a::/b", True),
        ("/a:.", True),
    ],
)
@pytest.mark.parametrize("name", ["PYTHONPATH", "PYTHONUSERBASE"])
def test_a_place_that_is_relative_to_the_kernels_directory_is_found(
    name: str, value: str, relative: bool
) -> None:
    assert relative_place({"HOME": "x", name: value}) == (name if relative else None)


def test_no_kernel_comes_from_a_zygote_that_would_look_for_modules_elsewhere() -> None:
    warm = WarmKernels()
    warm._enabled = True  # `enable` is for the life of a process
    command = ["/usr/bin/python3", "-m", "ipykernel_launcher", "-f", "x.json"]
    with pytest.raises(NeverWarm, match="PYTHONPATH has a path that is relative to the directory"):
        warm.check(command, {"PYTHONPATH": "/site:"}, [])
    with pytest.raises(NotWarm, match="no kernel like it"):
        warm.check(command, {"PYTHONPATH": "/site"}, [])
