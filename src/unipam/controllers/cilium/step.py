"""What is to be done about one node, as it is decided in each round."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from unipam.dialects.cilium.machine import scale_set_of
from unipam.dialects.cilium.nics import Nic
from unipam.dialects.cilium.node import CiliumNode, Published
from unipam.dialects.cilium.planning import Grow, Short
from unipam.dialects.cilium.releasing import Handshake


class Step(NamedTuple):
    """What a node is given, what is taken from it, and what is said in it."""

    node: CiliumNode
    nics: Sequence[Nic]
    taken: Mapping[str, str]
    """Addresses that something else on the machine has, and the pods that have them."""
    growth: Grow | Short | None
    release: Handshake
    said: Published | None
    rival: str = ""
    """The CiliumNode whose machine it is, where it is not this one's."""

    @property
    def grows_in(self) -> str:
        """Return the scale set of a machine that is to be written; empty for none."""
        return scale_set_of(self.growth.nic.id) if isinstance(self.growth, Grow) else ""
