"""calico-ipam's results, and its codes and words for what went wrong (spec §1.13, §9.16)."""

from __future__ import annotations

from collections.abc import Sequence

from unipam.addr.prefix import V4_OFFSET, Prefix, format_address, is_v4
from unipam.cni.result import Ip, Result, print_json, render
from unipam.dialects.calico.where import ETCD
from unipam.model.errors import GivenBack, StoreBroken, StoreBusy, StoreFull, Superseded, UnipamError

NAME = "calico-ipam"
VERSIONS = ("0.1.0", "0.2.0", "0.3.0", "0.3.1", "0.4.0", "1.0.0", "1.1.0")
"""Those of the original, and 1.1.0, without which a runtime could ask neither for GC nor for STATUS."""

CODES: dict[type[UnipamError], int] = {
    UnipamError: 999,  # everything that the original's own code reports
    StoreBusy: 11,
    GivenBack: 11,
    Superseded: 11,
    StoreBroken: 5,
    StoreFull: 5,
}


def word(error: UnipamError) -> str:
    """Return an error in the original's words, which it was raised with."""
    return error.message


def unknown_node(datastore: str) -> str:
    """Return what a datastore's client says of a node that is not there; {} stands for its name (spec §9, k010)."""
    return "<nil>" if datastore == ETCD else 'nodes "{}" not found'


def result(addresses: Sequence[tuple[int, Prefix]]) -> Result:
    """Return what an ADD answers: each address with the length of its block, and a route that says just that."""
    ips = tuple(Ip(address, f"{format_address(address)}/{_bits(prefix)}", None) for address, prefix in addresses)
    return Result(ips, tuple({"dst": ip.address} for ip in ips))


def kept(addresses: Sequence[tuple[int, Prefix]], *, routed: bool) -> Result:
    """Return what an ADD for a VM answers that has addresses.

    A pod that it is only about to move to gets no routes.
    """
    found = result([(address, alone(address)) for address, _ in addresses])
    return found if routed else found._replace(routes=())


def shown(found: Result, version: str) -> bytes:
    """Print a result as the version does; one without addresses, when none was wanted, says nothing of them."""
    if found.ips or version < "0.3.0":
        return render(found, version)
    return print_json({"cniVersion": version} if version >= "1.0.0" else {"cniVersion": version, "dns": {}})


def alone(address: int) -> Prefix:
    """Return the prefix with which an address is shown that was asked for: nothing but itself."""
    return Prefix(address, 128)


def _bits(prefix: Prefix) -> int:
    return prefix.length - (V4_OFFSET if is_v4(prefix.first) else 0)
