"""The ranges that a node has of its cluster: watched by an agent, asked for without one, and remembered on disk.

Remembered ranges are for as long as the API server is away, so that a node starts pods meanwhile. What the server says
is always taken: that there is no such node, too, whose range may be another's by now.
"""

from __future__ import annotations

import contextlib
import os
import threading
import time
from collections.abc import Mapping

import msgspec

from unipam.clients.kubernetes.api import KubernetesApi, Object
from unipam.clients.kubernetes.objects import Objects
from unipam.clients.mirror import Mirror
from unipam.cni.context import Context
from unipam.dialects.host_local.pod_cidr import Node
from unipam.model.errors import BadConfig, SourceFailed, UnipamError

FILE = "unipam-podcidrs.json"
"""In the data directory: the ranges of each node that a network there was ever for."""

_WITHIN = 1.5
"""Seconds that a call waits for an API server, before it takes what is remembered."""

Record = tuple[str, ...]


class Followed:
    """A node's ranges as an agent keeps them at hand."""

    def __init__(self, node: Node, directory: str) -> None:
        self._node, self._directory = node, directory
        self._told = threading.Event()
        api = KubernetesApi(node.kubeconfig)
        source = Objects(
            api, "/api/v1/nodes", _name, _ranges, fieldSelector=f"metadata.name={node.name}"
        )  # fmt: skip
        self._mirror: Mirror[str, Record] = Mirror(source, self._changed, _WITHIN)

    def ranges(self) -> Record | None:
        """Return the node's ranges by what the server says; None while it says nothing. Raises BadConfig."""
        try:
            found: Mapping[str, Record] = self._mirror.snapshot()
        except SourceFailed:
            return None
        return _present(self._node, found.get(self._node.name))

    def wait(self) -> str:
        """Wait until the server has answered or failed, not for long; why there is no answer."""
        self._told.wait(2 * _WITHIN)
        return self._mirror.problem

    def _changed(self) -> None:
        with contextlib.suppress(UnipamError):
            if (found := self.ranges()) is not None:
                remember(self._directory, self._node.name, found)
        self._told.set()


_followed: dict[tuple[Node, str], Followed] = {}
_lock = threading.Lock()


def at_hand(node: Node, directory: str) -> Record | None:
    """Return ranges that are known without waiting, None where they are not. Raises BadConfig."""
    followed = _followed.get((node, directory))
    return followed.ranges() if followed else None


def ask(node: Node, context: Context, directory: str) -> Record:
    """Return the ranges of a node. Raises BadConfig when it has none, SourceFailed when nobody knows."""
    try:
        if not context.attended:
            found = _asked(node)
            remember(directory, node.name, found)
            return found
        with _lock:
            if (node, directory) not in _followed:
                _followed[node, directory] = Followed(node, directory)
        followed = _followed[node, directory]
        problem = followed.wait()
        if (known := followed.ranges()) is not None:
            return known
    except SourceFailed as error:
        problem = error.message
    if remembered := recall(directory, node.name):
        return remembered
    raise SourceFailed(
        f"the podCIDRs of node {node.name} are not known: {problem}: nothing is remembered in {directory}/{FILE}",
        source="kubernetes",
    )


def _asked(node: Node) -> Record:
    from urllib.parse import quote

    from unipam.clients.kubernetes.api import Refusal

    with contextlib.closing(KubernetesApi(node.kubeconfig)) as api:
        try:
            found = api.get(f"/api/v1/nodes/{quote(node.name, safe='')}", time.monotonic() + _WITHIN)
        except Refusal as error:
            if error.status == 404:
                return _present(node, None)
            raise SourceFailed(f"{api.name}: {error}", source=api.name) from error
        return _ranges(found)


def _present(node: Node, found: Record | None) -> Record:
    if found is None:
        raise BadConfig(f'nodes "{node.name}" not found', node=node.name)
    return found


def _name(found: Object) -> str:
    return str(found["metadata"]["name"])


def _ranges(found: Object) -> Record:
    return tuple(map(str, (found.get("spec") or {}).get("podCIDRs") or ()))


def remember(directory: str, node: str, ranges: Record) -> None:
    """Note a node's ranges; none are forgotten. What cannot be written is not remembered."""
    with _lock:
        before = _read(directory)
        after = {**before, node: ranges} if ranges else {name: each for name, each in before.items() if name != node}
        if after != before:
            with contextlib.suppress(OSError):
                _write(directory, after)


def recall(directory: str, node: str) -> Record:
    """Return the ranges that a node had when the server last said; empty where nothing is remembered."""
    return _read(directory).get(node, ())


def _read(directory: str) -> dict[str, Record]:
    try:
        with open(f"{directory}/{FILE}", "rb") as file:
            return msgspec.json.decode(file.read(), type=dict[str, Record])
    except (OSError, msgspec.MsgspecError):
        return {}


def _write(directory: str, ranges: dict[str, Record]) -> None:
    os.makedirs(directory, mode=0o755, exist_ok=True)
    draft = f"{directory}/{FILE}.{os.getpid()}.new"
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(msgspec.json.encode(ranges))
        file.flush()
        os.fsync(file.fileno())
    os.replace(draft, f"{directory}/{FILE}")
