"""What the streams of a checkpoint look up when they are loaded: `python -m support.stream_names < CODE`.

Prints JSON: the names of variables that could not be stored, and pairs of module and name.
"""

from __future__ import annotations

import json
import pickletools
import sys
from collections.abc import Iterator
from pathlib import Path

from respawn_kernels.checkpoint.manifest import Manifest
from respawn_kernels.restore.mapped_blobs import MappedBlobs
from support.namespaces import capture, notebook


def named(stream: bytes) -> Iterator[tuple[object, object]]:
    """Yield module and name of what a stream of pickles looks up; texts that are data do not count."""
    memo: list[object] = []  # one for all pickles of a stream
    while stream:
        pushed: list[object] = [None, None]
        for opcode, argument, place in pickletools.genops(stream):
            if opcode.name == "STACK_GLOBAL":
                yield pushed[-2], pushed[-1]
            if opcode.name == "MEMOIZE":
                memo.append(pushed[-1])
            elif opcode.name in ("BINGET", "LONG_BINGET"):
                pushed.append(memo[argument])  # type: ignore[index]
            else:
                pushed.append(argument if "UNICODE" in opcode.name else None)
            if opcode.name == "STOP" and place is not None:
                stream = stream[place + 1 :]


def streams(manifest: Manifest, directory: Path) -> Iterator[bytes]:
    blobs = MappedBlobs(directory / "blobs", None)
    for group in manifest.groups:
        yield bytes(blobs.extent(group.stream, manifest))


def main() -> None:
    """Run the code as a notebook's, store its state in the working directory, and print what it names."""
    here = Path.cwd()
    manifest = capture(notebook(sys.stdin.read()), here)
    found = {pair for stream in streams(manifest, here) for pair in named(stream)}
    print(json.dumps([[item.name for item in manifest.unstored], sorted(found, key=str)]))


if __name__ == "__main__":
    main()
