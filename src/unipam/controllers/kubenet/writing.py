"""What is written to the cluster: a node's ranges, its NetworkUnavailable, and events about it."""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any
from urllib.parse import quote

from unipam.clients.kubernetes import events
from unipam.clients.kubernetes.api import KubernetesApi, Refusal
from unipam.dialects.kubenet.node import CONDITION, Node
from unipam.model.errors import SourceFailed

_WITHIN = 10.0


class Writer:
    """Writes to the API server. Any thread may use it."""

    def __init__(self, api: KubernetesApi, now: Callable[[], float] = time.time) -> None:
        self._api, self._now = api, now

    def assign(self, node: Node, ranges: tuple[str, ...]) -> str:
        """Give a node its ranges; return why that failed for good, empty if it did not. Raises SourceFailed.

        The patch holds for this very node (its UID), and the API server changes ranges that are set for nobody.
        """
        patch = {"metadata": {"uid": node.uid}, "spec": {"podCIDR": ranges[0], "podCIDRs": list(ranges)}}
        return self._written(lambda: self._api.merge(_path(node), patch, _soon()))

    def read(self, node: Node) -> dict[str, Any] | None:
        """Read a node; None if it is gone. Raises SourceFailed."""
        try:
            return self._api.get(_path(node), _soon())
        except Refusal as error:
            if error.status == 404:
                return None
            raise SourceFailed(f"{self._api.name}: {error}", source=self._api.name) from error

    def condition(self, node: Node, *, created: bool) -> str:
        """Set NetworkUnavailable as the route controller does; return and raise as `assign`."""
        moment = datetime.fromtimestamp(self._now(), UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        words = {
            "status": "False" if created else "True",
            "reason": "RouteCreated" if created else "NoRouteCreated",
            "message": "RouteController created a route" if created else "RouteController failed to create a route",
        }
        condition = {"type": CONDITION, **words, "lastTransitionTime": moment, "lastHeartbeatTime": moment}
        patch = {"metadata": {"uid": node.uid}, "status": {"conditions": [condition]}}
        return self._written(lambda: self._api.merge(f"{_path(node)}/status", patch, _soon(), by_key=True))

    def event(self, node: Node, component: str, reason: str, message: str, *, warning: bool = False) -> str:
        """Tell whoever describes the node; return and raise as `assign`."""
        about = {"apiVersion": "v1", "kind": "Node", "name": node.name, "uid": node.uid}
        return self._written(
            lambda: events.post(
                self._api, about, component=component, reason=reason, message=message, warning=warning,
                now=self._now(), deadline=_soon(),
            )
        )  # fmt: skip

    def _written(self, write: Callable[[], object]) -> str:
        try:
            write()
        except Refusal as error:
            return str(error)
        return ""


def _path(node: Node) -> str:
    return f"/api/v1/nodes/{quote(node.name, safe='')}"


def _soon() -> float:
    return time.monotonic() + _WITHIN
