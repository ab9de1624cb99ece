"""DockerSpawner with a network for each user, and with images that are looked at before they run jobs.

In jupyterhub_config.py: ``c.JupyterHub.spawner_class = "respawn_hub.containers.spawner.ContainerSpawner"``.
"""

from __future__ import annotations

from typing import Any

from docker.errors import APIError
from dockerspawner import DockerSpawner
from jupyterhub.utils import maybe_future
from traitlets import Unicode

from respawn_hub.containers.image_check import image_fault
from respawn_hub.containers.user_networks import UserNetwork
from respawn_hub.hub_config.spawn_refusals import refusal
from respawn_jobs.api.job_server_protocol import PREFIX


class ContainerSpawner(DockerSpawner):  # type: ignore[misc]  # without types
    """Servers in containers that only their user's other servers, and the hub, reach."""

    network_template = Unicode(
        "{prefix}-{username}",
        help="""Name of each user's network, with the fields that `name_template` has.

        It is made when the first server of the user starts, and removed after the last one. On one network
        for all, whoever runs code in a container reaches the Jupyter ports of everybody else's.
        """,
    ).tag(config=True)

    async def start(self) -> Any:
        """Start the container; returns its address and port.

        Raises:
            HTTPError: the Docker host has no room for a network, or the image of a job server has no Respawn
                of the hub's release.
        """
        network = self._network()
        if self.name.startswith(PREFIX):
            await self.pull_image(self.image)
            fault = await image_fault(self.docker, self.client.create_host_config, self.image, list(self.cmd))
            if fault is not None:
                raise refusal(fault)
        async with network.lock:
            self.network_name = network.name
            try:
                await network.make()
            except APIError as error:
                raise refusal(_no_network(network.name, error), 503) from error
            return await super().start()

    async def run_post_stop_hook(self) -> None:
        """Run what the administrator has set, then remove the user's network if nothing is on it."""
        await maybe_future(super().run_post_stop_hook())
        network = self._network()
        async with network.lock:
            await network.remove_unless_used(self.object_name)

    def _network(self) -> UserNetwork:
        return UserNetwork(self.docker, self._render_templates(self.network_template))


def _no_network(name: str, error: APIError) -> str:
    why = error.explanation or str(error)
    return (
        f"there is no network {name} for this server: {why}. If the addresses have run out, an administrator "
        "adds some (`default-address-pools` of Docker, `default_subnet_pools` of podman)."
    )
