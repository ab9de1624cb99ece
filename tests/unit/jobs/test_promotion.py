import subprocess

import pytest

from respawn_jobs.api.service import Promotion
from respawn_jobs.errors import Conflict, Forbidden, InvalidInput, NotFound
from respawn_jobs.model.settings import JobSettings
from respawn_jobs.notebook.promotion import git_state, prepare
from support.notebooks import notebook, text


def promotion(nb=None, **more):
    return Promotion(**{"name": "report", "notebook": text(nb or notebook("a = 1")), **more})


def test_a_promotion_keeps_bytes_parameters_and_kernel(ada, ledger):
    given = promotion(notebook("a = rows", parameters="rows = 5  # how many"))
    version = ada.promote(given)
    assert ledger.blobs.get(version.notebook).decode() == given.notebook
    assert (version.job, version.number, version.kernel, version.language) == (
        "user/ada/report", 1, "python3", "python",
    )  # fmt: skip
    assert version.parameters[0].help == "how many"


def test_the_same_bytes_and_kernel_give_the_current_version_again(ada):
    assert ada.promote(promotion()) == ada.promote(promotion())
    assert len(ada.versions("report")) == 1


def test_other_bytes_give_the_next_version_and_new_runs_use_it(ada):
    ada.promote(promotion())
    assert ada.promote(promotion(notebook("a = 2"))).number == 2
    assert ada.job("report").version == 2
    assert [version.number for version in ada.versions("report")] == [2, 1]


def test_settings_stay_unless_given(ada):
    ada.promote(promotion(settings=JobSettings(max_attempts=3)))
    ada.promote(promotion(notebook("a = 2")))
    assert ada.job("report").settings.max_attempts == 3
    ada.promote(promotion(notebook("a = 2"), settings=JobSettings(timeout_seconds=5)))
    assert ada.job("report").settings == JobSettings(timeout_seconds=5)
    assert ada.job("report").version == 2


def test_an_unknown_kernel_is_refused_naming_the_known_ones(ada):
    with pytest.raises(InvalidInput, match=r"(?s)cobol-9.*python3"):
        ada.promote(promotion(kernel="cobol-9"))
    assert ada.jobs() == []


def test_a_notebook_that_names_no_kernel_needs_one(ada):
    with pytest.raises(InvalidInput, match="names no kernel"):
        ada.promote(promotion(notebook("a = 1", kernel=None)))
    assert ada.promote(promotion(notebook("a = 1", kernel=None), kernel="python3")).kernel == "python3"


@pytest.mark.parametrize("name", ["", "Report", "-x", "a/b", "a b", "x" * 64, "~", "../x"])
def test_a_bad_name_is_refused(ada, name):
    with pytest.raises(InvalidInput, match="job name"):
        ada.promote(promotion(name=name))


def test_a_scratch_name_is_allowed(ada):
    assert ada.promote(promotion(name="~report")).job == "user/ada/~report"


def test_nobody_promotes_into_a_namespace_without_a_scope(ada, bob):
    with pytest.raises(Forbidden, match=r"you \(ada\) may not change jobs in team/risk"):
        ada.promote(promotion(namespace="team/risk"))
    ada.promote(promotion())
    with pytest.raises(Forbidden, match="user/ada/report belongs to user/ada; you are bob"):
        bob.job("user/ada/report")
    assert bob.jobs() == []


def test_a_job_is_found_by_full_name_bare_name_and_id(ada):
    ada.promote(promotion())
    job = ada.job("report")
    assert ada.job("user/ada/report") == ada.job(job.id) == job
    with pytest.raises(NotFound, match="no job user/ada/other"):
        ada.job("other")
    for bad in ("x/y/z/report", "user/ada/"):
        with pytest.raises(InvalidInput):
            ada.job(bad)


@pytest.mark.parametrize(
    ("content", "says"),
    [(None, "does not exist"), (b"{", "not JSON"), (b"\xff\xfe", "UTF-8"), (b"{}", "nbformat")],
)
def test_a_file_that_is_no_notebook_is_refused_naming_it(tmp_path, content, says):
    path = tmp_path / "report.ipynb"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(InvalidInput, match=f"report.ipynb.*{says}"):
        prepare(path, "report")


def test_a_directory_is_refused(tmp_path):
    with pytest.raises(InvalidInput, match="is a directory"):
        prepare(tmp_path, "report")


def git(directory, *arguments):
    identity = ("-c", "user.name=t", "-c", "user.email=t@example.org")
    done = subprocess.run(
        ["git", *identity, *arguments], cwd=directory, check=True, capture_output=True, text=True
    )
    return done.stdout.strip()


def test_git_tells_commit_path_and_whether_the_file_differs(tmp_path):
    path = tmp_path / "notes" / "report.ipynb"
    path.parent.mkdir()
    path.write_text(text(notebook("a = 1")))
    assert git_state(path) is None
    git(tmp_path, "init", "-q")
    assert git_state(path) is None
    git(tmp_path, "add", ".")
    git(tmp_path, "commit", "-qm", "one")
    state = git_state(path)
    assert (state.commit, state.dirty, state.path) == (
        git(tmp_path, "rev-parse", "HEAD"),
        False,
        "notes/report.ipynb",
    )
    path.write_text(text(notebook("a = 2")))
    assert git_state(path).dirty
    untracked = tmp_path / "new.ipynb"
    untracked.write_text(text(notebook()))
    assert git_state(untracked).dirty


def test_a_file_that_its_repository_ignores_lies_outside(tmp_path):
    (tmp_path / ".gitignore").write_text("scratch/\n")
    git(tmp_path, "init", "-q")
    git(tmp_path, "add", ".")
    git(tmp_path, "commit", "-qm", "one")
    path = tmp_path / "scratch" / "report.ipynb"
    path.parent.mkdir()
    path.write_text(text(notebook()))
    assert git_state(path) is None


def test_a_prepared_promotion_carries_the_file_as_it_is(tmp_path, ada):
    path = tmp_path / "report.ipynb"
    stored = text(notebook("a = 'ä'")) + "\n\n"
    path.write_bytes(stored.encode())
    request = prepare(path, "report")
    assert (request.notebook, request.directory) == (stored, str(tmp_path))
    assert ada.promote(request).directory == str(tmp_path)


def test_two_first_promotions_at_once_end_in_one_job(ledger, ada, tmp_path):
    from concurrent.futures import ThreadPoolExecutor

    with ThreadPoolExecutor(4) as pool:
        waiting = [pool.submit(ada.promote, promotion(notebook(f"a = {n}"))) for n in range(4)]
        for future in waiting:
            try:
                future.result()
            except Conflict:
                continue
    numbers = [version.number for version in ada.versions("report")]
    assert numbers == sorted(numbers, reverse=True)
    assert len(ada.jobs()) == 1
