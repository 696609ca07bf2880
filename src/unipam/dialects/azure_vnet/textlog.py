"""A log in the original's text format, for the scripts and eyes that know it (spec azure-vnet-ipam §3.1).

It is written after a call, all of the call's lines at once, so that calls do not interleave. It says what happened
here: a line about the wireserver stands in it only where the wireserver was asked. There is no lock that is waited
for; its lines are written because readers know a call by them.
"""

from __future__ import annotations

import contextlib
import functools
import os
import time
from typing import Any

from unipam.addr.prefix import format_address
from unipam.dialects.azure_vnet import dialect, pools, printing
from unipam.dialects.azure_vnet.config import Network
from unipam.dialects.azure_vnet.space import LearnedSpace, Refreshed, version
from unipam.ledger.learned import Learned, LearnedPool, snapshot
from unipam.model.errors import UnipamError

Line = tuple[str, str]
"""Component ("" for none) and message."""

_SAVED: list[Line] = [("ipam", "saving ipam state."), ("ipam", "Save succeeded.")]
_REFRESHING: Line = ("ipam", "Refreshing address source.")


class LoggedCall:
    """What happened in one call, as it is found out.

    `first` says that nothing was known before it. `known` is what the space knows after the call; `holders` who holds
    what then, and `before` before it.
    """

    def __init__(self, env: dict[str, str], stdin: bytes, document: dict[str, Any], pid: int, begun: float) -> None:
        self.env = env
        self.stdin = stdin
        self.document = document
        self.pid = pid
        self.begun = begun
        self.network: Network | None = None
        self.space: LearnedSpace | None = None
        self.refreshed: Refreshed | None = None
        self.first = False
        self.pool: LearnedPool | None = None
        self.address: int | None = None
        self.released: tuple[str, ...] = ()
        self.error = ""
        self.known = Learned()
        self.holders: dict[int, str] = {}
        self.before: dict[int, str] = {}

    @property
    def verb(self) -> str:
        """ADD or DEL."""
        return self.env["CNI_COMMAND"]

    @property
    def container(self) -> str:
        """The container's id."""
        return self.env.get("CNI_CONTAINERID", "")

    def begin(self, network: Network, space: LearnedSpace | None) -> None:
        """Note what the call is about, now that it is known."""
        self.network, self.space = network, space
        if network.log:
            self.first = not self.look()
            self.before = self.holders

    def look(self) -> bool:
        """See how things stand; whether any pool is known."""
        if self.space is not None:
            self.known, self.holders = snapshot(self.space.ledger, self.space.name)
        return bool(self.known.pools)


def write(logged: LoggedCall) -> None:
    """Append the call, if its configuration wants a log. One that cannot be written keeps nobody from an address."""
    network = logged.network
    if network is None or not network.log:
        return
    with contextlib.suppress(UnipamError):  # what the call met itself, it has said
        logged.look()
    now = time.time()
    told = [(logged.begun, line) for line in _head(logged, network)] + [(now, line) for line in _tail(logged, network)]
    text = "".join(_line(at, logged.pid, line) for at, line in told)
    with contextlib.suppress(OSError):
        descriptor = os.open(network.log, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o644)
        try:
            os.write(descriptor, text.encode("utf-8", "replace"))
        finally:
            os.close(descriptor)


def _line(at: float, pid: int, line: Line) -> str:
    component, message = line
    stamp = time.strftime("%Y/%m/%d %H:%M:%S", time.localtime(at))
    one_line = message.replace("\n", " ").replace("\r", " ")
    return f"{stamp} [{pid}] {f'[{component}] ' if component else ''}{one_line}\n"


@functools.cache
def _platform() -> str:
    try:
        with open("/proc/version", encoding="utf-8", errors="replace") as file:
            return file.read().strip()
    except OSError:
        return "Linux"


def _head(logged: LoggedCall, network: Network) -> list[Line]:
    env = logged.env
    args = (
        f"ContainerID:{logged.container} Netns:{env.get('CNI_NETNS', '')} IfName:{env.get('CNI_IFNAME', '')}"
        f" Args:{env.get('CNI_ARGS', '')} Path:{env.get('CNI_PATH', '')}"
        f" StdinData:{logged.stdin.decode('utf-8', 'replace').strip()}"
    )
    restored = (
        f"Restored state, &{{Version:{version()} TimeStamp:{printing.moment(logged.begun)} AddrSpaces:map[local:0x0]"
        " store:0x0 source:<nil> netApi:<nil> Mutex:{state:0 sema:0}}"
    )
    return [
        ("", "Acquiring process lock"),
        ("", "Acquired process lock with timeout value of 10s "),
        ("cni-ipam", f"Plugin {network.origin.plugin} version {version()}."),
        ("cni-ipam", f"Running on {_platform()}"),
        ("ipam", "store key not found" if logged.first else restored),
        ("cni-ipam", "Plugin started."),
        ("cni-ipam", f"Processing {logged.verb} command with args {{{args}}}."),
        ("cni-ipam", f"Read network configuration {printing.config(logged.document)}."),
        ("ipam", f"Starting source {network.origin.environment}."),
        _REFRESHING,
    ]


def _tail(logged: LoggedCall, network: Network) -> list[Line]:
    acted = _add(logged, network) if logged.verb == "ADD" else _del(logged, network)
    return [*_refresh(logged), *acted, ("cni-ipam", "Plugin stopped."), ("", "Released process lock")]


def _refresh(logged: LoggedCall) -> list[Line]:
    refreshed = logged.refreshed
    if refreshed is None:
        return []
    if refreshed.outcome.learned is None:
        return list(refreshed.remarks)
    merging = [] if logged.first else [("ipam", "merging address space")]
    return [*refreshed.remarks, *merging, *_SAVED]


def _options(logged: LoggedCall, network: Network) -> str:
    interface = "" if network.subnet else f" azure.interface.name:{network.master}"
    return f"options:map[azure.address.id:{logged.container}{interface if logged.verb == 'ADD' else ''}]"


def _add(logged: LoggedCall, network: Network) -> list[Line]:
    lines = [] if network.subnet else _pool_request(logged, network)
    shown = "" if logged.address is None or logged.pool is None else _shown(logged.address, logged.pool)
    if shown or logged.error.startswith("Failed to allocate address"):
        lines += _address_request(logged, network, shown)
    if not logged.error and logged.pool is not None and logged.address is not None:
        route = str(dialect.routes(network, logged.pool)[0]["dst"])
        result = printing.result(logged.address, logged.pool, route)
        return [*lines, ("cni-ipam", f"ADD command completed with result:{result} err:<nil>.")]
    given_back = _give_back(logged) if not network.subnet and logged.pool is not None else []
    return [
        *lines,
        (network.origin.plugin, f"{logged.error}."),
        *given_back,
        ("cni-ipam", f"ADD command completed with result:<nil> err:{logged.error}."),
    ]


def _shown(address: int, pool: LearnedPool) -> str:
    return f"{format_address(address)}/{pool.network.bits}"


def _address_request(logged: LoggedCall, network: Network, shown: str) -> list[Line]:
    if network.subnet and logged.known.find(network.subnet) is None:
        return []  # a pool that is not there is not asked
    lines: list[Line] = [("ipam", f"Requesting address with address:{network.address} {_options(logged, network)}.")]
    if not shown:
        return [*lines, ("ipam", f"Address request failed with {logged.error.partition(': ')[2]}")]
    lines.append(("ipam", f"Address request completed with address:{shown}"))
    return [*lines, *_SAVED, ("cni-ipam", f"Allocated address {shown}.")]


def _pool_request(logged: LoggedCall, network: Network) -> list[Line]:
    """Return how a pool was found, as the original would tell it: it goes through them and keeps the best so far."""
    if not logged.known.pools:
        return []  # no space, nothing to ask
    v6 = str(network.v6).lower()
    lines: list[Line] = [("ipam", f"Requesting pool with poolId: {_options(logged, network)} v6:{v6}.")]
    best: LearnedPool | None = None
    for pool in logged.known.pools:
        verdict, best = _considered(pool, best, network, busy=network.strict and _is_busy(pool, logged))
        lines += [("ipam", f"Checking pool {pool.name}."), *verdict]
    if logged.pool is None:
        error = logged.error.partition(": ")[2]
        return [*lines, ("ipam", f"Pool request completed with pool:<nil> err:{error}.")]
    shown = printing.pool(logged.pool, logged.before, taken=True)
    chosen = ("cni-ipam", f"Allocated address poolID {logged.pool.name} with subnet {logged.pool.name}.")
    return [*lines, ("ipam", f"Pool request completed with pool:{shown} err:<nil>."), *_SAVED, chosen, _REFRESHING]


def _is_busy(pool: LearnedPool, logged: LoggedCall) -> bool:
    ours = logged.pool is not None and logged.pool.network == pool.network
    return pool.reserved and not ours and any(pool.network.first <= a <= pool.network.last for a in logged.before)


def _considered(
    pool: LearnedPool, best: LearnedPool | None, network: Network, *, busy: bool
) -> tuple[list[Line], LearnedPool | None]:
    if busy:
        skipped = f"Skip releasing pool with poolId:{pool.name}. due to address being in use"
        return [("ipam", f"Pool {pool.name} is in use."), ("ipam", skipped)], best
    if (pool.network.family == 6) != network.v6:
        return [("ipam", "Pool is of a different address family.")], best
    if not pools.ordered((pool,), network):
        return [("ipam", "Pool is not on the requested interface.")], best
    lines = [("ipam", f"Pool {pool.name} matches requirements.")]
    if best is None:
        return lines, pool
    if pools.ordered((best, pool), network)[0] == best:
        return lines, best
    why = "priority" if pool.priority > best.priority else "capacity"
    return [*lines, ("ipam", f"Pool is preferred because of {why}.")], pool


def _give_back(logged: LoggedCall) -> list[Line]:
    pool = logged.pool
    assert pool is not None
    used = any(pool.network.first <= a <= pool.network.last for a in logged.holders)
    skipped = f"Skip releasing pool with poolId:{pool.name}. due to address being in use"
    how = skipped if used else f"Releasing pool {pool.name} as there are no allocations"
    return [("cni-ipam", f"Releasing pool {pool.name}."), _REFRESHING, ("ipam", how), *_SAVED]


def _del(logged: LoggedCall, network: Network) -> list[Line]:
    end = [("cni-ipam", f"DEL command completed with err:{logged.error or '<nil>'}.")]
    if logged.error:
        return [(network.origin.plugin, f"{logged.error}."), *end]
    note = [] if logged.released else [("", "Address not found. Not Returning error")]
    return [
        ("ipam", f"Releasing address with address:{network.address} {_options(logged, network)}."),
        *note,
        ("ipam", f"Address release completed with address:{network.address or ' '.join(logged.released)} err:<nil>."),
        *_SAVED,
        *end,
    ]
