"""What is written to a CiliumNode: its status first, so that the agent knows the interface, then its pool (A9)."""

from __future__ import annotations

import time
from urllib.parse import quote

from unipam.clients.kubernetes import events
from unipam.clients.kubernetes.api import KubernetesApi, Refusal
from unipam.dialects.cilium.node import PATH, CiliumNode, Published, spec_patch, status_patch
from unipam.model.errors import SourceFailed

_WITHIN = 10.0


class Writer:
    """Writes merge patches, which collide with nobody; the handshake at the revision that was read."""

    def __init__(self, api: KubernetesApi) -> None:
        self._api = api

    def publish(self, node: CiliumNode, said: Published) -> bool:
        """Write what differs; return whether the node says all of it now. Raises SourceFailed.

        A node that is gone, or that somebody has changed meanwhile, is left to the next look. Facts: status, where the
        API server has refused it.
        """
        status, spec = status_patch(node, said), spec_patch(node, said)
        path = f"{PATH}/{quote(node.name, safe='')}"
        try:
            if status:
                about = {"uid": node.uid}
                if "release-ips" in status.get("ipam", {}):
                    about["resourceVersion"] = node.revision
                self._api.merge(f"{path}/status", {"metadata": about, "status": status}, _soon())
            if spec:
                self._api.merge(path, {"metadata": {"uid": node.uid}, "spec": {"ipam": spec}}, _soon())
        except Refusal as error:
            if error.status not in {404, 409}:
                raise SourceFailed(f"{self._api.name}: {error}", source=self._api.name, status=error.status) from error
            return False
        return True

    def tell(self, node: CiliumNode, reason: str, message: str, *, warning: bool) -> None:
        """Tell whoever describes the CiliumNode, or the Node of its name. Raises SourceFailed."""
        cilium = {"apiVersion": "cilium.io/v2", "kind": "CiliumNode", "name": node.name, "uid": node.uid}
        # what kubelets say of their nodes has the name for a uid, and kubectl looks for both
        plain = {"apiVersion": "v1", "kind": "Node", "name": node.name, "uid": node.name}
        try:
            for about in (cilium, plain):
                events.post(
                    self._api, about, component="unipam-cilium", reason=reason, message=message, warning=warning,
                    now=time.time(), deadline=_soon(),
                )  # fmt: skip
        except Refusal as error:
            raise SourceFailed(f"{self._api.name}: {error}", source=self._api.name) from error


def _soon() -> float:
    return time.monotonic() + _WITHIN
