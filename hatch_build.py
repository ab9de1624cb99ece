"""Brings the libraries that draw notebooks' outputs to where the hub's service serves them from.

    python hatch_build.py

They come from `node_modules` (`npm ci`, pinned by package-lock.json) and from the installed Bokeh. They are
some 13 MiB, so git does not hold them. `make setup` calls this; a wheel and a source archive are built only
with all of them, and whoever installs one needs neither npm nor Bokeh.
"""

from __future__ import annotations

import importlib.util
import json
import shutil
import sys
from importlib.metadata import version
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

ROOT = Path(__file__).resolve().parent
VENDOR = ROOT / "hub_ext/respawn_hub/static/frames/vendor"
NODE: dict[str, dict[str, str]] = {
    "plotly.js-dist-min": {"plotly.min.js": "plotly.min.js", "LICENSE": "plotly.LICENSE"},
    "vega": {"build/vega.min.js": "vega.min.js", "LICENSE": "vega.LICENSE"},
    "vega-lite": {"build/vega-lite.min.js": "vega-lite.min.js", "LICENSE": "vega-lite.LICENSE"},
    "vega-embed": {"build/vega-embed.min.js": "vega-embed.min.js", "LICENSE": "vega-embed.LICENSE"},
    "katex": {
        "dist/katex.min.js": "katex/katex.min.js",
        "dist/katex.min.css": "katex/katex.min.css",
        "dist/fonts/*.woff2": "katex/fonts/",
        "LICENSE": "katex/LICENSE",
    },
    "@jupyter-widgets/html-manager": {
        "dist/embed.js": "widgets/embed.js",
        "dist/*.woff2": "widgets/",
        "dist/embed.js.LICENSE.txt": "widgets/LICENSE",
    },
}
"""Files of each npm package, as patterns, and where they go; a slash at the end keeps their names."""
ENVIRONMENTS = ("base", "dask", "science", "spark", "Containerfile", "server.lock")
"""The kernel environments that come with the product, and what makes images of them."""
BOKEH = ("bokeh", "bokeh-gl", "bokeh-widgets", "bokeh-tables", "bokeh-mathjax")


class CustomBuildHook(BuildHookInterface[Any]):
    """Puts libraries and environments into what is built; an editable install finds them in the checkout."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Bring the libraries unless they are there; fail where they cannot be had."""
        if version == "editable":
            return
        if self.target_name == "wheel":  # in a checkout they are found in images/
            for name in ENVIRONMENTS:
                build_data["force_include"][str(ROOT / "images" / name)] = (
                    f"respawn_environments/images/{name}"
                )
        if not (VENDOR / "versions.json").exists():
            bring()


def bring() -> dict[str, str]:
    """Copy all libraries, in the place of those that are there, and return their versions by name."""
    versions: dict[str, str] = {}
    fresh = VENDOR.with_name("vendor.new")
    shutil.rmtree(fresh, ignore_errors=True)
    for name, files in NODE.items():
        package = ROOT / "node_modules" / name
        if not package.is_dir():
            sys.exit(f"{package} is missing: run `make libraries`, or `npm ci`, before building")
        versions[name] = json.loads((package / "package.json").read_text())["version"]
        for pattern, target in files.items():
            _copy(package, pattern, fresh / target, keeps_name=target.endswith("/"))
    _bokeh(fresh / "bokeh")
    versions["bokeh"] = version("bokeh")
    (fresh / "versions.json").write_text(json.dumps(versions, indent=2) + "\n")
    shutil.rmtree(VENDOR, ignore_errors=True)
    fresh.rename(VENDOR)
    return versions


def _copy(package: Path, pattern: str, target: Path, *, keeps_name: bool) -> None:
    found = sorted(package.glob(pattern))
    if not found:
        sys.exit(f"{package} has no {pattern}: the package has changed, see hatch_build.py")
    for path in found:
        place = target / path.name if keeps_name else target
        place.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(path, place)


def _bokeh(target: Path) -> None:
    spec = importlib.util.find_spec("bokeh")
    if spec is None or spec.origin is None:
        sys.exit("bokeh is not installed: run `make libraries`, or `pip install bokeh`, before building")
    package = Path(spec.origin).parent
    for name in BOKEH:
        _copy(package / "server/static/js", f"{name}.min.js", target / f"{name}.min.js", keeps_name=False)
    _copy(package, "LICENSE.txt", target / "LICENSE", keeps_name=False)


if __name__ == "__main__":
    for library, number in bring().items():
        print(f"{library} {number}")
