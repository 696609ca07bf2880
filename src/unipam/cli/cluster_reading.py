"""What `unipam cluster` reads of the API server, and of the controller."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, NamedTuple

from unipam.cli.progress import remark

if TYPE_CHECKING:
    from unipam.clients.kubernetes.api import KubernetesApi
    from unipam.dialects.cilium.node import CiliumNode
    from unipam.dialects.kubenet.node import Node

_WITHIN, _ASK_WITHIN = 60.0, 5.0


class Seen(NamedTuple):
    """A cluster's Nodes and CiliumNodes, and by node and address the pods; those that Cilium runs, where it says so."""

    nodes: list[Node]
    cilium: list[CiliumNode]
    pods: dict[str, dict[str, str]] | None = None
    others: dict[str, dict[str, str]] | None = None


def read(kubeconfig: str) -> Seen:
    """Read the Nodes, and the CiliumNodes and pods where there are any of these. Raises SourceFailed."""
    from unipam.clients.kubernetes.api import KubernetesApi, Refusal
    from unipam.clients.kubernetes.collection import read_all
    from unipam.dialects.cilium import node as cilium
    from unipam.dialects.kubenet import node as kubenet
    from unipam.model.errors import SourceFailed

    api = KubernetesApi(kubeconfig)
    deadline = time.monotonic() + _WITHIN
    try:
        _, nodes = read_all(api, "/api/v1/nodes", kubenet.node_of, deadline)
        try:
            _, of_cilium = read_all(api, cilium.PATH, cilium.node_of, deadline)
        except Refusal as error:
            if error.status != 404:
                raise
            of_cilium = []
        pods, others = _pods(api, deadline) if of_cilium else (None, None)
    except Refusal as error:
        raise SourceFailed(f"{api.name}: {error}", source=api.name) from error
    finally:
        api.close()
    return Seen(nodes, of_cilium, pods, others)


def _pods(api: KubernetesApi, deadline: float) -> tuple[dict[str, dict[str, str]] | None, ...]:
    """Return by node and address all pods, and those that Cilium does not run; None for what may not be known."""
    from unipam.clients.kubernetes.api import Refusal
    from unipam.clients.kubernetes.collection import read_all
    from unipam.controllers.cilium import pods
    from unipam.model.errors import SourceFailed

    try:
        _, found = read_all(api, pods.PODS, lambda each: (pods.name_of(each), pods.pod_of(each)), deadline)
    except (SourceFailed, Refusal) as error:
        remark(f"pods were not looked at: {error}")
        return None, None
    every = pods.by_node(dict(found))
    of_cilium = pods.endpoints_of(api)()
    others = None if of_cilium is None else {
        node: {ip: "/".join(name) for ip, name in at.items() if name not in of_cilium} for node, at in every.items()
    }  # fmt: skip
    return {node: {ip: "/".join(name) for ip, name in at.items()} for node, at in every.items()}, others


def waiting(controller: str) -> dict[str, str]:
    """Return by machine what it waits for, as the controller tells. Raises SourceFailed."""
    import http.client

    from unipam.model.errors import SourceFailed

    try:
        return _told(_asked(controller))
    except (OSError, http.client.HTTPException, ValueError, LookupError, TypeError) as error:
        problem = f"the controller at {controller} does not tell what waits: {error or type(error).__name__}"
        raise SourceFailed(problem, source="controller") from error


def _asked(controller: str) -> bytes:
    """Return the answer of a controller. Raises OSError, HTTPException, ValueError for what is no HOST:PORT."""
    import http.client

    connection = http.client.HTTPConnection(controller, timeout=_ASK_WITHIN)
    try:
        connection.request("GET", "/waiting")
        return connection.getresponse().read()
    finally:
        connection.close()


def _told(answer: bytes) -> dict[str, str]:
    """Read what a controller says. Raises ValueError, LookupError, TypeError for what is said by anybody else."""
    import json

    return {
        str(each["job"]).lower(): f"{each['what']}: {each['why']}, for {each['for']} s, {each['in']} s more"
        for each in json.loads(answer)["items"]
    }
