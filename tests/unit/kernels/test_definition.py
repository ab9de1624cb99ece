"""What a person writes of an environment, and what is said of what is wrong in it."""

from __future__ import annotations

from pathlib import Path

import pytest

from respawn_environments.definition import EnvironmentSource, parse_definition
from respawn_environments.errors import EnvironmentMissing, InvalidEnvironment
from respawn_environments.shipped import shipped, source_of

WHOLE = """
python = ">=3.11,<3.13"
description = "For the reports"
display-name = "Finance"
requirements = ["numpy>=2", "dask[dataframe]"]
preload = ["numpy", "matplotlib.pyplot"]
labels = { team = "finance" }
system-packages = { java = "default-jre-headless" }

[from-source]
packages = ["Py_Spark"]
tools = ["setuptools>=70"]

[resources]
memory = "2 GiB"
cpus = 1.5
processes = 200
disk = "20 GiB"
"""

SMALL = 'python = "3.13"\nrequirements = []\n'


def test_all_that_may_be_written_is_read() -> None:
    read = parse_definition(WHOLE, "environment.toml")
    assert (read.display_name, read.description) == ("Finance", "For the reports")
    assert (read.resources.memory, read.resources.cpus, read.resources.processes) == (2 << 30, 1.5, 200)
    assert read.resources.disk == 20 << 30
    assert read.preload == ["numpy", "matplotlib.pyplot"]
    assert read.labels == {"team": "finance"}
    assert read.system_packages == {"java": "default-jre-headless"}
    assert read.from_source is not None
    assert (read.from_source.packages, read.from_source.tools) == (["py-spark"], ["setuptools>=70"])
    assert [read.allows(minor) for minor in ("3.10", "3.11", "3.12", "3.13")] == [False, True, True, False]
    assert read.oldest_python == "3.11"


def test_one_python_is_the_only_one() -> None:
    read = parse_definition('python = "3.12"\nrequirements = []', "environment.toml")
    assert (read.oldest_python, read.allows("3.12"), read.allows("3.13")) == ("3.12", True, False)


def test_the_digest_is_of_what_the_lock_is_made_of() -> None:
    text = 'python = "3.12"\nrequirements = ["b", "a"]\n'
    one = parse_definition(text, "x")
    assert (
        one.digest
        == parse_definition('requirements = ["a", "b"]\npython = "3.12"\npreload = ["a"]', "x").digest
    )
    assert one.digest != parse_definition(text.replace("3.12", "3.13"), "x").digest
    assert one.digest != parse_definition(text.replace('"b"', '"b>1"'), "x").digest
    built = parse_definition(f'{text}[from-source]\npackages = ["a"]\ntools = ["c"]\n', "x")
    assert one.digest != built.digest
    assert one.digest == parse_definition(f'{text}system-packages = {{ java = "jre" }}', "x").digest


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("requirements = []", "python: this key is missing: add it, such as python = "),
        ('python = "3.13"', "requirements: this key is missing: add it, such as requirements = "),
        ("python = 3.13\nrequirements = []", 'python: it must be text in quotes, such as "3.13"'),
        ('python = "2.7"\nrequirements = []', "python: it must be one version or a range of them"),
        ('python = "3.13.1"\nrequirements = []', "python: it must be one version or a range of them"),
        (
            'python = ">=3.90"\nrequirements = []',
            "python: no Python that Respawn is tested with is in '>=3.90'",
        ),
        ('python = "3.13"\nrequirements = "numpy"', "requirements: it must be a list of texts"),
        (
            'python = "3.13"\nrequirements = ["a", "num py"]',
            "requirements, entry 2: 'num py' is no requirement",
        ),
        ('python = "3.13"\nrequirements = ["-e ."]', "requirements, entry 1: '-e .' is an option or a place"),
        (
            'python = "3.13"\nrequirements = ["here @ git+https://example.org/here@main"]',
            "is a repository, whose files no hash in a lock can pin",
        ),
        ('python = "3.13"\nrequirements = ["a @ file:///a.whl"]', "which a lock cannot pin"),
        ('python = "3.13"\nrequirements = ["jupyterhub_respawn"]', "is Respawn itself"),
        (SMALL + 'display_name = "A"', "display_name: there is no such key; did you mean display-name?"),
        (
            SMALL + 'preload = ["import numpy"]',
            "preload, entry 1: 'import numpy' is not the name of a module",
        ),
        (
            SMALL + '[resources]\nmemory = "lots"',
            "resources.memory: it must be a size in quotes",
        ),
        (SMALL + '[resources]\nmemory = "1 MB"', "an interpreter alone needs 64 MiB"),
        (
            SMALL + '[resources]\nmemoryy = "1 GB"',
            "resources.memoryy: there is no such key; did you mean memory?",
        ),
        (SMALL + "resources = 3", "resources: it must be a table: write its keys below a line [resources]"),
        (SMALL + "from-source = 3", "it must be a table: write its keys below a line [from-source]"),
        (SMALL + '[from-source]\npackages = ["a"]', "from-source.tools: this key is missing: add it"),
        (SMALL + '[from-source]\npackages = []\ntools = ["a"]', "from-source.packages: it is empty"),
        (
            SMALL + '[from-source]\npackages = ["a>1"]\ntools = ["b"]',
            "from-source.packages, entry 1: 'a>1' is not the name of a package",
        ),
        (
            SMALL + '[from-source]\npackage = ["a"]',
            "from-source.package: there is no such key; did you mean packages?",
        ),
        (SMALL + 'system-packages = { "a b" = "c" }', "'a b' is not the name of a program"),
        (SMALL + 'system-packages = { java = "-y jre" }', "'-y jre' is not the name of a package of Debian"),
        ('python = "3.13', "is not TOML"),
    ],
)
def test_what_is_wrong_is_told_with_file_key_and_fix(text: str, says: str) -> None:
    with pytest.raises(InvalidEnvironment) as caught:
        parse_definition(text, "images/x/environment.toml")
    assert str(caught.value).startswith("images/x/environment.toml")
    assert says in str(caught.value)


def test_own_environments_come_before_those_that_respawn_brings(tmp_path: Path) -> None:
    assert {"base", "dask", "science", "spark"} <= {path.name for path in shipped().iterdir()}
    assert source_of("base", tmp_path).directory == shipped() / "base"
    own = tmp_path / "base" / "environment.toml"
    own.parent.mkdir()
    own.write_text('python = "3.13"\nrequirements = []')
    for wanted in ("base", str(own), str(own.parent)):
        assert source_of(wanted, tmp_path).definition.python == "3.13"
    with pytest.raises(
        EnvironmentMissing, match=r"no environment 'finance'.*base, dask, science, spark.*write .*finance"
    ):
        source_of("finance", tmp_path)
    with pytest.raises(EnvironmentMissing, match=r"empty/environment\.toml is missing"):
        EnvironmentSource.read(tmp_path / "empty")
