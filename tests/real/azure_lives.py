"""Random lives of a node under azure-vnet-ipam: what the wireserver says and what azure-vnet calls, by number.

The lives keep off what docs/azure-vnet-ipam.md says is different also with `strict`: pools whose order falls as the map
falls, answers that lack a family, a second address for a container in one pool.
"""

from __future__ import annotations

from random import Random
from typing import Any, NamedTuple

from tests.dialects.azure_vnet.azure import INTERFACES, document

FIRST, SECOND, SIX = "10.224.0.0/16", "10.225.0.0/24", "fd00:1::/64"
_CONTAINERS = "abcdef"
_FAILURES = (("oops", 500), ("<Interfaces></Interfaces>", 200), ("<Interfaces", 200), ("", 200))


class Op(NamedTuple):
    """One call: its verb, whom it is for, and what stands under `ipam`."""

    verb: str
    container: str
    ipam: dict[str, Any]


def listing(first: list[int], second: list[int], six: list[int]) -> str:
    """An answer with these usable addresses in the three pools; the preferred one is never the smaller."""
    return document(
        (INTERFACES["eth0"], True, {FIRST: [f"10.224.0.{n}" for n in (4, *first)]}),
        (
            INTERFACES["ifb0"],
            False,
            {SECOND: [f"10.225.0.{n}" for n in (4, *second)], SIX: [f"fd00:1::{n:x}" for n in (4, *six)]},
        ),
    )


class Life:
    """A sequence of answers and calls. `held` is what the containers hold, as both sides should have it."""

    def __init__(self, seed: int) -> None:
        self._rng = Random(seed)
        self.length = self._rng.randint(8, 25)

    def answer(self) -> tuple[str, int] | None:
        """What the wireserver says from now on; mostly as before."""
        rng = self._rng
        how = rng.random()
        if how > 0.25:
            return None
        if how < 0.06:
            return rng.choice(_FAILURES)
        first = rng.sample(range(5, 12), rng.randint(1, 3))
        return listing(first, rng.sample(range(5, 12), rng.randint(len(first), 4)), rng.sample(range(5, 9), 2)), 200

    def next(self, held: dict[str, str]) -> Op:
        """The next call, of a node on which these addresses are held by these containers."""
        rng = self._rng
        verb = rng.choices(("ADD", "DEL", "CHECK", "GET"), (55, 40, 3, 1))[0]
        container = rng.choice(_CONTAINERS)
        ipam = self._where()
        if rng.random() < (0.15 if verb == "ADD" else 0.5):
            ipam["ipAddress"] = self._address(held, container)
        if verb == "ADD" and "ipAddress" in ipam and container in held.values():
            ipam["ipAddress"] = next(address for address, holder in held.items() if holder == container)
        return Op(verb, container, ipam)

    def _where(self) -> dict[str, Any]:
        rng = self._rng
        subnets = (FIRST, SECOND, SIX, "", "10.99.0.0/16", "10.224.0.4/16", "nonsense", "10.225.0.0/16")
        subnet = rng.choices(subnets, (40, 25, 8, 15, 4, 2, 1, 2))[0]
        ipam: dict[str, Any] = {"subnet": subnet} if subnet else {}
        if not subnet and rng.random() < 0.3:
            ipam["type"] = "azure-vnet-ipamv6"
        odd = {"addressSpace": "global"}, {"queryInterval": 10}, {"environment": "other"}, {"addressSpace": "local"}
        return {**ipam, **rng.choice(odd)} if rng.random() < 0.06 else ipam

    def _address(self, held: dict[str, str], container: str) -> str:
        rng = self._rng
        mine = [address for address, holder in held.items() if holder == container]
        if mine and rng.random() < 0.5:
            return rng.choice(mine)
        others = [*held, "10.224.0.5", "10.225.0.6", "fd00:1::5", "10.224.0.1", "10.225.0.1", "10.99.0.5"]
        odd = (f"{rng.choice(others)}/16", "no address", "10.224.0.05", "fd00:1:0::5", "FD00:1::6")
        return rng.choice(odd) if rng.random() < 0.15 else rng.choice(others)
