"""Whether a program compiles jsonschema's grammars for the formats of IRIs, which takes a second.

`make setup` leaves the package that has them out of this environment, so one that only notes its import takes
its place.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path


def compiled_grammars(code: str, directory: Path) -> bool:
    """Run Python code that ends with jsonschema imported; `directory` is for the package and its note."""
    package, note = directory / "packages", directory / "compiled"
    package.mkdir()
    (package / "rfc3987_syntax.py").write_text(
        f"open({str(note)!r}, 'w').close()\nis_valid_syntax = lambda *told: True\n"
    )
    code = f"import sys; sys.path.insert(0, {str(package)!r})\n{code}"
    environment = {name: value for name, value in os.environ.items() if not name.startswith("JUPYTERHUB_")}
    subprocess.run([sys.executable, "-c", code], check=False, env=environment)
    return note.exists()
