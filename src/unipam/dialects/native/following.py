"""A node's CiliumNode as an agent follows it: watched, taken into the ledger, and told what the node uses.

One thread for each; calls never wait for it but where nothing at all is known yet. What it writes are merge patches of
its own fields, which collide with nobody; its part of the handshake at the revision that was read.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Mapping
from typing import Any
from urllib.parse import quote

from unipam.clients.kubernetes.api import KubernetesApi, Object, Refusal
from unipam.clients.kubernetes.objects import Objects
from unipam.clients.mirror import Mirror
from unipam.dialects.cilium.node import PATH, CiliumNode, node_of
from unipam.dialects.host_local.pod_cidr import Node
from unipam.dialects.native import handshake, making, space
from unipam.dialects.native.space import Taken
from unipam.ledger.ledger import Ledger
from unipam.ledger.open import Ledgers
from unipam.model.errors import SourceFailed, UnipamError

WITHIN = 1.5
"""Seconds that the API server has for an answer."""
_LOOK = 2.0
"""Seconds between two looks at the ledger, which other processes change as well."""
_GATHER = 0.2
"""Seconds in which changes are gathered that are told at once."""
_SOON, _CALM = 0.5, 15.0
"""Seconds between two reports of what is used: while addresses are few, and otherwise, as Cilium's agent does."""


class Following:
    """Follows one CiliumNode for the ledger in a directory."""

    def __init__(self, whose: Node, directory: str) -> None:
        """Begin. Raises BadValue where there is no access to the API server."""
        self.whose, self.directory = whose, directory
        self._api = KubernetesApi(whose.kubeconfig)
        self._path = f"{PATH}/{quote(whose.name, safe='')}"
        self._ledgers = Ledgers(timeout=2.0)
        self._heard, self._wake, self._told = threading.Event(), threading.Event(), threading.Event()
        self._closed = threading.Event()
        self._reported = -_CALM
        self._latest: CiliumNode | None = None
        self.knows = False
        """Whether the ledger has a pool of the node, as far as was seen here."""
        self.wanted: Mapping[str, Any] = {}
        """What a CiliumNode is to ask for that is made here."""
        self.problem, self.taken = "nothing has been read yet", Taken({}, {}, 0, ())
        source = Objects(self._api, PATH, _name, node_of, fieldSelector=f"metadata.name={whose.name}")
        self._mirror: Mirror[str, CiliumNode] = Mirror(source, self._hear, WITHIN)
        self._thread = threading.Thread(target=self._work, name=f"following {whose.name}", daemon=True)
        self._thread.start()

    def touch(self, *, urgent: bool = False) -> None:
        """Say that the ledger has been changed; with `urgent` that somebody lacks an address."""
        if urgent:
            self._reported = -_CALM
        self._wake.set()

    @property
    def begun(self) -> bool:
        """Whether the API server has answered or failed once."""
        return self._told.is_set()

    def wait(self) -> None:
        """Wait until the API server has answered or failed, not for long."""
        self._told.wait(2 * WITHIN)

    def close(self) -> None:
        """Follow no more, and let go of connections and files."""
        self._closed.set()
        self._hear()
        self._mirror.close()
        self._thread.join(2 * WITHIN)
        self._api.close()
        self._ledgers.close_all()

    def _hear(self) -> None:
        self._heard.set()
        self._wake.set()

    def _work(self) -> None:
        self._heard.wait()  # calls wake this thread as well, and there is nothing to go by yet
        while not self._closed.is_set():
            self._wake.wait(_LOOK)
            self._wake.clear()
            try:
                self._round()
                self.problem = ""
            except UnipamError as error:
                self.problem = error.message
            except Exception as error:  # noqa: BLE001 (who follows no more must not pass for one who does)
                self.problem = f"defect: {error!r}"
            self._told.set()
            self._closed.wait(_GATHER)

    def _round(self) -> None:
        seen = self._newest()
        taken, before = space.take(self._ledger, self.whose, seen), space.known(self._ledger)
        # The mirror lags behind another process, or the cluster has gone back in time; or it is to be told again.
        if taken is None or before.is_over(time.time()):
            seen = self._latest = read(self._api, self.whose)
            taken = space.take(self._ledger, self.whose, seen, asked_after=before)
        if taken is None:
            return
        self.taken, self.knows = taken, bool(seen.uid)
        if not seen.uid or not seen.instance:
            self._introduce(seen)
        if seen.uid:
            self._tell(seen, taken)

    @property
    def _ledger(self) -> Ledger:
        return self._ledgers.at(self.directory)

    def _newest(self) -> CiliumNode:
        """Return the CiliumNode as it was seen last, by the mirror or in the answer to a write. Raises SourceFailed."""
        seen = self._mirror.snapshot().get(self.whose.name) or absent(self.whose)
        latest = self._latest
        return latest if latest and handshake.is_older(seen.revision, latest.revision) else seen

    def _tell(self, seen: CiliumNode, taken: Taken) -> None:
        about: dict[str, Any] = {"uid": seen.uid}
        ipam: dict[str, Any] = {}
        if used := handshake.used_patch(seen, taken.used):
            ipam["used"] = used
        if taken.answers:
            about["resourceVersion"], ipam["release-ips"] = seen.revision, taken.answers
        elif time.monotonic() < self._reported + (_SOON if 2 * taken.free < seen.wanted.pre else _CALM):
            return
        if ipam:
            self._write({"metadata": about, "status": {"ipam": ipam}})
            self._reported = time.monotonic()

    def _introduce(self, seen: CiliumNode) -> None:
        """Make the CiliumNode, or name its machine, where Cilium's agent has not. Raises SourceFailed."""
        try:
            node = self._api.get(f"/api/v1/nodes/{quote(self.whose.name, safe='')}", _soon())
            machine = making.machine(node)
            if machine and not seen.uid:
                self._latest = node_of(self._api.create(PATH, making.made(node, self.wanted), _soon()))
            elif machine:
                body = {"metadata": {"uid": seen.uid}, "spec": {"instance-id": machine}}
                self._latest = node_of(self._api.merge(self._path, body, _soon()))
        except Refusal as error:
            if error.status not in {404, 409}:  # it is not Azure's, or somebody else was first
                raise SourceFailed(f"{self._api.name}: {error}", source=self._api.name) from error

    def _write(self, body: Object) -> None:
        try:
            self._latest = node_of(self._api.merge(f"{self._path}/status", body, _soon()))
        except Refusal as error:
            if error.status not in {404, 409}:  # it has gone, or was changed: the watch tells
                raise SourceFailed(f"{self._api.name}: {error}", source=self._api.name) from error


def read(api: KubernetesApi, whose: Node) -> CiliumNode:
    """Return a CiliumNode as the API server has it, one without anything where it has none. Raises SourceFailed."""
    try:
        return node_of(api.get(f"{PATH}/{quote(whose.name, safe='')}", _soon()))
    except Refusal as error:
        if error.status == 404 and error.about:  # a server that has just started names nothing
            return absent(whose)
        raise SourceFailed(f"{api.name}: {error}", source=api.name) from error


def absent(whose: Node) -> CiliumNode:
    """Return what stands for a CiliumNode that is not there."""
    return node_of({"metadata": {"name": whose.name}})


def _name(found: Object) -> str:
    return str(found["metadata"]["name"])


def _soon() -> float:
    return time.monotonic() + WITHIN
