"""The service's process: `python -m respawn_hub`, started by the hub."""

from __future__ import annotations

import logging
import sys

import uvicorn

from respawn_hub.app import create_app
from respawn_hub.settings import HubSettings, NotUnderHub, Settings


def main() -> int:
    """Serve until the hub stops it. Returns the exit status: 2 when it was not started by a hub."""
    logging.basicConfig(level=logging.INFO, format="[%(levelname).1s %(asctime)s %(name)s] %(message)s")
    logging.getLogger("httpx").setLevel(logging.WARNING)
    try:
        hub_settings = HubSettings.from_environment()
    except NotUnderHub as error:
        print(f"respawn: {error}", file=sys.stderr)
        return 2
    host, port = hub_settings.address
    uvicorn.run(
        create_app(Settings(), hub_settings),
        host=host,
        port=port,
        log_config=None,
        access_log=False,
        # Live pages hold their connections open; they are not waited for.
        timeout_graceful_shutdown=2,
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
