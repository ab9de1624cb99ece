"""A debug notebook's kernel: variables that load when they are used, placeholders, saved states."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from respawn_kernels.checkpoint.manifest import Manifest
from respawn_kernels.digest import write_whole
from respawn_kernels.exchange.download_state import DownloadState, downloading
from respawn_kernels.exchange.restore_point import AlwaysCell, RestorePoint
from support.debug_kernels import RUN, blob_of, errors, here, pending, restored
from support.kernels import AGENT, CellFailed, Kernel, running_kernel

pytestmark = pytest.mark.integration


def test_nothing_large_is_loaded_before_it_is_used(kernel: Kernel) -> None:
    shown = restored(kernel)
    assert "Each is loaded when code first uses it." in shown
    assert {"big", "view", "prices", "column", "ada", "total"} <= pending(kernel)
    assert kernel.value("limit") == 2.0
    assert {"big", "view"} <= pending(kernel)
    assert kernel.value("[float(big[n]) for n in range(2)]") == [0.0, 1.0]
    assert not {"big", "view", "limit"} & pending(kernel)
    assert "prices" in pending(kernel)


def test_what_is_loaded_still_shares_and_belongs_to_its_class(kernel: Kernel) -> None:
    restored(kernel)
    kernel.run("view[0] = -1")
    assert kernel.value("float(big[10])") == -1.0
    assert kernel.value("(type(ada) is Account, ada == Account('ada'))") == (True, True)
    kernel.run("big[0] = 100; limit = 0.0")
    assert kernel.value("float(total())") == 103.0


def test_functions_find_what_they_read_even_by_words_in_strings(kernel: Kernel) -> None:
    restored(kernel)
    assert kernel.value("dear()['name'].tolist()") == ["tea"]
    assert kernel.value("prices.query('price < @limit')['name'].tolist()") == ["milk"]


def test_session_is_as_it_was(kernel: Kernel) -> None:
    restored(kernel)
    told = kernel.value("(os.environ['STAGE'], pd.get_option('display.max_rows'), sum[:6], random.random())")
    assert told == ("test", 7, "a name", __import__("random").Random(3).random())
    assert kernel.value("Out[2]") == "the result"
    assert kernel.value("(Out[2], _2, In[2])") == ("the result", "the result", "'the result'")


@pytest.mark.long
@pytest.mark.parametrize(
    ("cells", "last"),
    [
        (["big"], "(7, 2000000)"),
        (["for _ in prices.iterrows(): pass"], "('milk', 0)"),
    ],
)
def test_new_results_come_after_the_last_ones_and_spare_names_of_the_notebook(
    kernel: Kernel, tmp_path: Path, cells: list[str], last: str
) -> None:
    restored(kernel)
    for cell in cells:
        kernel.run(cell)
    kernel.run("%respawn checkpoint shown")
    with running_kernel(tmp_path) as other:
        other.run(f"%load_ext respawn\n%respawn restore {RUN}@shown")
        other.run("7")
        told = "print((_ if isinstance(_, int) else _[1]['name'], len(__)))"
        assert other.run(told).strip() == last


@pytest.mark.long
def test_names_are_seen_by_what_looks_at_the_namespace(kernel: Kernel) -> None:
    restored(kernel)
    assert kernel.value("'big' in globals()") is True
    assert pending(kernel) == set()
    assert kernel.value("__builtins__ is __import__('builtins')") is True


@pytest.mark.long
def test_own_values_stay_and_deleted_ones_stay_away(kernel: Kernel) -> None:
    restored(kernel)
    kernel.run("limit = 'mine'\ndel column")
    assert kernel.value("(limit, prices.shape)") == ("mine", (2, 2))
    assert (here(kernel)["limit"], here(kernel)["column"]) == ("bound anew", "deleted")
    assert "NameError" in errors(kernel, "column")


@pytest.mark.long
def test_completion_and_inspection_know_pending_names(kernel: Kernel) -> None:
    restored(kernel)
    answer = kernel.client.complete("pri", 3, reply=True, timeout=60)["content"]
    assert "prices" in answer["matches"]
    answer = kernel.client.complete("x = prices.colu", 15, reply=True, timeout=60)["content"]
    assert any("columns" in match for match in answer["matches"])
    answer = kernel.client.inspect("Account", 7, reply=True, timeout=60)["content"]
    assert answer["found"]
    assert "big" in pending(kernel)
    assert "float64" in kernel.run("big?") or kernel.outputs


def test_placeholder_says_what_to_do(kernel: Kernel) -> None:
    restored(kernel)
    assert "stream (generator) was not restored" in kernel.run("stream")
    told = errors(kernel, "next(stream)")
    assert told.startswith("NotRestored: stream (generator) was not restored")
    assert "run cell 2 again here" in told
    assert "respawn:always" in told


@pytest.mark.long
@pytest.mark.parametrize("harm", ["flip", "remove"])
def test_damaged_blob_is_told_by_name_when_it_is_used(kernel: Kernel, fetched: Path, harm: str) -> None:
    blob = blob_of(fetched, "big")
    good = blob.read_bytes()
    blob.unlink()
    if harm == "flip":
        blob.write_bytes(b"x" + good[1:])
    restored(kernel)
    for _ in range(2):
        told = errors(kernel, "big.sum()")
        assert "NotLoaded: big could not be loaded" in told
        assert "the checkpoint after cell 2" in told
        assert f"respawn debug {RUN}" in told
    assert kernel.value("prices.shape") == (2, 2)
    blob.unlink(missing_ok=True)
    blob.write_bytes(good)
    assert kernel.value("float(big[1])") == 1.0, "once it is fixed, the next use finds it"


@pytest.mark.long
def test_variable_whose_data_are_still_coming_waits_with_a_progress_bar(
    kernel: Kernel, fetched: Path
) -> None:
    blob = blob_of(fetched, "big")
    data = blob.read_bytes()
    blob.unlink()
    with downloading(fetched) as ours:
        assert ours
        DownloadState(5, 10).write(fetched)
        assert "when used" in restored(kernel)
        message = kernel.client.execute("print(big[1])")
        bar = shown_bar(kernel, message)
        assert "Loading big: " in bar["text/plain"]
        assert "<progress" in bar["text/html"]
        assert kernel.client.is_alive()
        write_whole(blob, data)
        shown = output_of(kernel, message)
    assert "1.0" in shown
    assert "Loaded big: " in shown


@pytest.mark.long
def test_waiting_for_data_can_be_interrupted(kernel: Kernel, fetched: Path) -> None:
    blob_of(fetched, "big").unlink()
    with downloading(fetched):
        restored(kernel)
        message = kernel.client.execute("print(big[1])")
        shown_bar(kernel, message)
        kernel.manager.interrupt_kernel()
        assert "Stopped loading big" in output_of(kernel, message)
        assert kernel.value("prices.shape") == (2, 2)


@pytest.mark.long
def test_download_that_is_dead_is_told_with_the_fix(kernel: Kernel, fetched: Path) -> None:
    blob_of(fetched, "big").unlink()
    DownloadState(5, 10).write(fetched)
    restored(kernel)
    message = errors(kernel, "big[0]")
    assert "the download was ended before it was done" in message
    assert f"respawn debug {RUN}" in message
    assert kernel.value("prices.shape") == (2, 2)


def shown_bar(kernel: Kernel, message: str) -> dict[str, str]:
    """Return the first thing that a running cell displays."""
    while True:
        told = kernel.client.get_iopub_msg(timeout=60)
        if told["parent_header"].get("msg_id") == message and told["msg_type"] == "display_data":
            return dict(told["content"]["data"])


def output_of(kernel: Kernel, message: str) -> str:
    """Return what a running cell prints and displays until it ends."""
    found = []
    while True:
        told = kernel.client.get_iopub_msg(timeout=60)
        content = told["content"]
        if told["parent_header"].get("msg_id") != message:
            continue
        if told["msg_type"] == "status" and content["execution_state"] == "idle":
            kernel.client.get_shell_msg(timeout=60)
            return "\n".join(found)
        found.append(content.get("text") or content.get("data", {}).get("text/plain", ""))


@pytest.mark.long
def test_always_cell_gives_back_what_could_not_be_stored_and_changes_nothing_else(
    kernel: Kernel, fetched: Path
) -> None:
    source = "stream = iter([limit]); limit = 0; own = 1; big[0] = 5"
    always = [AlwaysCell(1, source)]
    (fetched / "restore.json").write_text(RestorePoint(RUN, 2, "python3", None, 3, None, always).to_json())
    restored(kernel)
    kernel.run("%respawn rerun")
    assert kernel.value("(next(stream), limit, 'own' in dir(), float(big[0]))") == (2.0, 2.0, False, 0.0)


@pytest.mark.long
def test_restoring_twice_gives_the_run_s_state_again(kernel: Kernel) -> None:
    restored(kernel)
    kernel.run("big[:] = 0; limit = 7\ndef made_meanwhile(): return limit")
    restored(kernel)
    assert kernel.value("(float(big[1]), made_meanwhile())") == (1.0, 2.0)


@pytest.mark.long
def test_saved_state_is_come_back_to_in_another_kernel(kernel: Kernel, tmp_path: Path) -> None:
    restored(kernel)
    kernel.run("prices.loc[0, 'price'] = 30.0; mine = [1]; del limit")
    shown = kernel.run("%respawn checkpoint fixed")
    assert f"as {RUN}@fixed." in shown
    assert "stream  generator  cannot pickle 'generator' object" in shown
    assert "is there already" in told(kernel, "%respawn checkpoint fixed")
    assert f"{RUN}@1" in kernel.run("%respawn checkpoint")
    with running_kernel(tmp_path) as other:
        shown = other.run(f"%load_ext respawn\n%respawn restore {RUN}@fixed")
        assert "as you saved them on" in shown
        assert other.value("(float(prices.price[0]), mine, float(big[1]))") == (30.0, [1], 1.0)
        assert "NameError" in errors(other, "limit")
        assert "NotRestored" in errors(other, "stream.close()")


@pytest.mark.long
def test_saved_state_shares_room_with_the_run_s(kernel: Kernel, fetched: Path) -> None:
    restored(kernel)
    kernel.run("big[0] = 1\n%respawn checkpoint")
    own = {path.name: path.stat() for path in (fetched / "own" / "blobs").iterdir()}
    new = sum(told.st_size for told in own.values() if told.st_nlink == 1)
    assert 0 < new < 5_000_000, "only the chunk that changed was written"


def test_diff_tells_what_changed(kernel: Kernel) -> None:
    restored(kernel)
    assert "0 unchanged" not in kernel.run(f"%respawn diff {RUN}")
    assert "big" in pending(kernel), "what was not loaded is not loaded to be compared"
    kernel.run("prices.loc[0, 'price'] = 30.0; mine = 1; del limit; big.sum()")
    rows = [line.split()[:2] for line in kernel.run(f"%respawn diff {RUN}").splitlines()[2:]]
    assert sorted(rows) == [
        ["limit", "removed"],
        ["mine", "added"],
        ["prices", "changed"],
    ]
    kernel.run("%respawn checkpoint")
    assert "added" not in kernel.run(f"%respawn diff {RUN}@1")


def told(kernel: Kernel, code: str) -> str:
    with pytest.raises(CellFailed):
        kernel.run(code)
    return "".join(str(message["content"]) for message in kernel.outputs)


@pytest.mark.parametrize(
    ("code", "words"),
    [
        (f"%respawn restore {RUN}@nowhere", "%respawn checkpoint nowhere would save one"),
        (f"%respawn diff {RUN}@no/where", "not the name of a checkpoint"),
        ("%respawn diff run-9999999999", "respawn debug run-9999999999"),
        ("%respawn checkpoint", "Nothing was restored"),
        ("%respawn", "%respawn diff RUN"),
    ],
)
def test_wrong_calls_say_what_to_do(kernel: Kernel, code: str, words: str) -> None:
    assert words in told(kernel, code)


@pytest.mark.long
def test_checkpoint_in_a_resumed_run_goes_on_listing_what_was_lost(tmp_path: Path, spool: Path) -> None:
    again = tmp_path / "spool"
    with running_kernel(tmp_path) as kernel:
        kernel.silent(f"{AGENT}.start({str(again)!r})")
        kernel.silent(f"{AGENT}.restore({str(spool)!r}, 2)")
        assert kernel.value("(float(total()), __builtins__ is __import__('builtins'))") == (5.0, True)
        assert "NotRestored" in errors(kernel, "list(stream)")
        kernel.silent(f"{AGENT}.checkpoint(3)")
        kernel.run("del stream")
        kernel.silent(f"{AGENT}.checkpoint(4)")
    lost: dict[int, Any] = {
        cell: [
            (item.name, item.type, item.reason, item.cell)
            for item in Manifest.from_json((again / "manifests" / f"{cell}.json").read_bytes()).unstored
        ]
        for cell in (3, 4)
    }
    assert lost == {3: [("stream", "generator", "cannot pickle 'generator' object", 2)], 4: []}


@pytest.mark.long
def test_checkpoint_of_a_run_that_restores_another_holds_all_of_it(
    tmp_path: Path, kernel: Kernel, fetched: Path
) -> None:
    blob_of(fetched, "big").unlink()
    kernel.silent(f"{AGENT}.start({str(tmp_path / 'spool')!r})")
    restored(kernel)
    kernel.silent(f"{AGENT}.checkpoint(0)")
    manifest = Manifest.from_json((tmp_path / "spool" / "manifests" / "0.json").read_bytes())
    stored, lost = {v.name for v in manifest.variables}, {v.name for v in manifest.unstored}
    assert {"prices", "limit", "total"} <= stored
    assert {"stream", "big", "view"} <= lost
