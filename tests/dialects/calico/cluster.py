"""A cluster of Calico's for tests: a datastore in memory with pools, nodes and a configuration, and a clock to turn."""

from __future__ import annotations

import json
import time
from typing import Any

from unipam.addr.prefix import Prefix, format_address, parse_address, parse_prefix
from unipam.dialects.calico.connection import Watched
from unipam.dialects.calico.datastore.api import Item, Selection
from unipam.dialects.calico.datastore.keys import (
    AffinityKey,
    BlockKey,
    ConfigKey,
    HandleKey,
    Key,
    NodeKey,
    PoolKey,
    ReservationKey,
)
from unipam.dialects.calico.datastore.memory import Faults, MemoryDatastore
from unipam.dialects.calico.datastore.watched import WatchedDatastore
from unipam.dialects.calico.documents import block as blocks
from unipam.dialects.calico.documents.block import Block
from unipam.dialects.calico.documents.pool import WORKLOAD
from unipam.dialects.calico.documents.times import SECOND
from unipam.dialects.calico.engine import affinities, explicit, releasing
from unipam.dialects.calico.engine.auto import Assigned, Request, auto_assign
from unipam.dialects.calico.engine.combining import Combiner
from unipam.dialects.calico.engine.session import Owner, Session
from unipam.dialects.calico.rules.blocks import handle_of

BEGAN = 1_756_728_000 * SECOND


class Cluster:
    """A datastore and what tests do with it. `now` is in nanoseconds; `timeout` is what each call has, in seconds."""

    def __init__(self, *, transactional: bool = True, timeout: float = 60.0, known: bool = False) -> None:
        self.store = MemoryDatastore(transactional=transactional)
        self.now = BEGAN
        self.timeout = timeout
        self.known = known
        self._watched: dict[str, tuple[MemoryDatastore, Watched]] = {}

    @property
    def session(self) -> Session:
        """What a call works on."""
        return self.session_of("host-a")

    def session_of(self, host: str) -> Session:
        """What a call of a node works on; where it is `known`, what its agent has at hand."""
        found = Session(self.store, time.monotonic() + self.timeout, self._tick, patience=self.timeout)
        if not self.known:
            return found
        watched = self.watched(host)
        watched.datastore.doubt()  # so that no test waits for the way of an event
        return found._replace(datastore=watched.datastore, combiner=watched.combiner)

    def watched(self, host: str) -> Watched:
        """What the agent of a node keeps."""
        if host not in self._watched or self._watched[host][0] is not self.store:
            self._watched[host] = (self.store, Watched(WatchedDatastore(self.store, host), Combiner(), set()))
        return self._watched[host][1]

    def close(self) -> None:
        """End what follows the datastore."""
        for _, watched in self._watched.values():
            watched.datastore.close()

    def _tick(self) -> int:
        self.now += 1
        return self.now

    def sleep(self, seconds: float) -> None:
        """Turn the clock."""
        self.now += int(seconds * SECOND)

    def pool(self, name: str, cidr: str, **spec: Any) -> None:
        """Put a pool there."""
        document = {"metadata": {"name": name}, "spec": {"cidr": cidr, **spec}}
        self.store.put(PoolKey(name), json.dumps(document).encode())

    def node(self, name: str, **labels: str) -> None:
        """Put a node there."""
        document = {"metadata": {"name": name, "labels": labels}, "spec": {}}
        self.store.put(NodeKey(name), json.dumps(document).encode())

    def reserve(self, *cidrs: str) -> None:
        """Put a reservation there."""
        document = {"metadata": {"name": "r"}, "spec": {"reservedCIDRs": list(cidrs)}}
        self.store.put(ReservationKey("r"), json.dumps(document).encode())

    def configure(self, *, strict: bool = False, auto: bool = True, max_blocks: int = 0, cooldown: int = 0) -> None:
        """Put a configuration there."""
        values = {
            "strict_affinity": strict,
            "auto_allocate_blocks": auto,
            "maxBlocksPerHost": max_blocks,
            "ipCooldownSeconds": cooldown,
        }
        self.store.put(ConfigKey(), json.dumps({k: v for k, v in values.items() if v}).encode())

    def break_down(self, faults: Faults) -> None:
        """Let calls go wrong from now on."""
        self.store.faults = faults

    def ask(self, number: int, host: str, **more: Any) -> Assigned:
        """AutoAssign. Raises what ended it, if nothing came of it."""
        request = Request(number, more.pop("family", 4), host, **{"use": WORKLOAD, **more})
        return auto_assign(self.session_of(host), request)

    def give(self, address: str, host: str, handle: str | None = None, **more: Any) -> str:
        """AssignIP; the block."""
        wanted = explicit.Request(parse_address(address), host, handle, **{"use": WORKLOAD, **more})
        return str(explicit.assign(self.session_of(host), wanted)[0])

    def drop(self, handle: str) -> list[str]:
        """Release all that a handle holds."""
        return list(map(format_address, releasing.by_handle(self.session, handle)))

    def abandon(self, host: str) -> None:
        """Give up every block of a host."""
        affinities.give_up_host(self.session, Owner(host), must_be_empty=False)

    # What is there -------------------------------------------------------------------------------------------------

    def blocks(self) -> dict[str, Block]:
        """Every block by its CIDR."""
        return {item.document["cidr"]: blocks.read(item.document) for item in self._all(BlockKey)}

    def affinities(self) -> dict[tuple[str, str], str]:
        """The state of every claim, by owner and CIDR."""
        found = {}
        for item in self._all(AffinityKey):
            key = item.key
            assert isinstance(key, AffinityKey)
            found[f"{key.kind}:{key.host}", key.cidr] = item.document["state"]
        return found

    def handles(self) -> dict[str, dict[str, int]]:
        """What every handle counts."""
        return {str(item.key.id): item.document["block"] for item in self._all(HandleKey)}  # type: ignore[union-attr]

    def recounted(self) -> dict[str, dict[str, int]]:
        """What every handle should count, by the blocks (AC-14)."""
        found: dict[str, dict[str, int]] = {}
        for cidr, block in self.blocks().items():
            for ordinal in range(len(block.allocations)):
                attribute = block.attribute(ordinal)
                if attribute is not None and (handle := handle_of(attribute)):
                    counted = found.setdefault(handle, {})
                    counted[cidr] = counted.get(cidr, 0) + 1
        return found

    def everything(self) -> list[Item]:
        """Every item of every kind."""
        return [item for kind in Key.__args__ for item in self._all(kind)]  # type: ignore[attr-defined]

    def _all(self, kind: Any) -> Any:
        return self.store.list(Selection(kind), time.monotonic() + 60).items


def texts(assigned: Assigned) -> list[str]:
    """The addresses of an answer."""
    return [format_address(address) for address, _ in assigned.addresses]


def cidr(text: str) -> Prefix:
    """A prefix out of its text."""
    return parse_prefix(text)
