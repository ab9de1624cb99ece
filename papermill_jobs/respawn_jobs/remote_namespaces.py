"""Namespaces over HTTP."""

from __future__ import annotations

from respawn_jobs.remote_link import RemoteBase, body
from respawn_jobs.service_namespaces import MoveRequest, Namespace, NamespaceRequest


class RemoteNamespaces(RemoteBase):
    """A hub's service; each method is told in `respawn_jobs.service_namespaces.NamespaceService`."""

    def namespaces(self) -> list[Namespace]:
        """Return all namespaces."""
        return self._many(Namespace, "api/namespaces")

    def retire(self, namespace: str) -> Namespace:
        """Close a namespace for good."""
        request = NamespaceRequest(namespace=namespace)
        return self._one(Namespace, "POST", "api/namespaces/retire", **body(request))

    def move(self, namespace: str, new: str) -> Namespace:
        """Give what a namespace holds to another one."""
        return self._one(
            Namespace, "POST", "api/namespaces/move", **body(MoveRequest(namespace=namespace, new=new))
        )
