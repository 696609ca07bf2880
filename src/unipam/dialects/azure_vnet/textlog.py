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
from unipam.dialects.azure_vnet.site import Refreshed, Site, version
from unipam.ledger.learned import Learned, LearnedPool, snapshot
from unipam.model.errors import UnipamError

Line = tuple[str, str]
"""Component ("" for none) and message."""

_SAVED: list[Line] = [("ipam", "saving ipam state."), ("ipam", "Save succeeded.")]
_REFRESHING: Line = ("ipam", "Refreshing address source.")


class Story:
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
        self.site: Site | None = None
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

    def begin(self, network: Network, site: Site | None) -> None:
        """Note what the call is about, now that it is known."""
        self.network, self.site = network, site
        if network.log:
            self.first = not self.look()
            self.before = self.holders

    def look(self) -> bool:
        """See how things stand; whether any pool is known."""
        if self.site is not None:
            self.known, self.holders = snapshot(self.site.ledger, self.site.space)
        return bool(self.known.pools)


def write(story: Story) -> None:
    """Append the call, if its configuration wants a log. One that cannot be written keeps nobody from an address."""
    network = story.network
    if network is None or not network.log:
        return
    with contextlib.suppress(UnipamError):  # what the call met itself, it has said
        story.look()
    now = time.time()
    told = [(story.begun, line) for line in _head(story, network)] + [(now, line) for line in _tail(story, network)]
    text = "".join(_line(at, story.pid, line) for at, line in told)
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


def _head(story: Story, network: Network) -> list[Line]:
    env = story.env
    args = (
        f"ContainerID:{story.container} Netns:{env.get('CNI_NETNS', '')} IfName:{env.get('CNI_IFNAME', '')}"
        f" Args:{env.get('CNI_ARGS', '')} Path:{env.get('CNI_PATH', '')}"
        f" StdinData:{story.stdin.decode('utf-8', 'replace').strip()}"
    )
    restored = (
        f"Restored state, &{{Version:{version()} TimeStamp:{printing.moment(story.begun)} AddrSpaces:map[local:0x0]"
        " store:0x0 source:<nil> netApi:<nil> Mutex:{state:0 sema:0}}"
    )
    return [
        ("", "Acquiring process lock"),
        ("", "Acquired process lock with timeout value of 10s "),
        ("cni-ipam", f"Plugin {network.origin.plugin} version {version()}."),
        ("cni-ipam", f"Running on {_platform()}"),
        ("ipam", "store key not found" if story.first else restored),
        ("cni-ipam", "Plugin started."),
        ("cni-ipam", f"Processing {story.verb} command with args {{{args}}}."),
        ("cni-ipam", f"Read network configuration {printing.config(story.document)}."),
        ("ipam", f"Starting source {network.origin.environment}."),
        _REFRESHING,
    ]


def _tail(story: Story, network: Network) -> list[Line]:
    acted = _add(story, network) if story.verb == "ADD" else _del(story, network)
    return [*_refresh(story), *acted, ("cni-ipam", "Plugin stopped."), ("", "Released process lock")]


def _refresh(story: Story) -> list[Line]:
    refreshed = story.refreshed
    if refreshed is None:
        return []
    if refreshed.outcome.learned is None:
        return list(refreshed.remarks)
    merging = [] if story.first else [("ipam", "merging address space")]
    return [*refreshed.remarks, *merging, *_SAVED]


def _options(story: Story, network: Network) -> str:
    interface = "" if network.subnet else f" azure.interface.name:{network.master}"
    return f"options:map[azure.address.id:{story.container}{interface if story.verb == 'ADD' else ''}]"


def _add(story: Story, network: Network) -> list[Line]:
    lines = [] if network.subnet else _pool_request(story, network)
    shown = "" if story.address is None or story.pool is None else _shown(story.address, story.pool)
    if shown or story.error.startswith("Failed to allocate address"):
        lines += _address_request(story, network, shown)
    if not story.error and story.pool is not None and story.address is not None:
        route = str(dialect.routes(network, story.pool)[0]["dst"])
        result = printing.result(story.address, story.pool, route)
        return [*lines, ("cni-ipam", f"ADD command completed with result:{result} err:<nil>.")]
    given_back = _give_back(story) if not network.subnet and story.pool is not None else []
    return [
        *lines,
        (network.origin.plugin, f"{story.error}."),
        *given_back,
        ("cni-ipam", f"ADD command completed with result:<nil> err:{story.error}."),
    ]


def _shown(address: int, pool: LearnedPool) -> str:
    return f"{format_address(address)}/{pool.network.bits}"


def _address_request(story: Story, network: Network, shown: str) -> list[Line]:
    if network.subnet and story.known.find(network.subnet) is None:
        return []  # a pool that is not there is not asked
    lines: list[Line] = [("ipam", f"Requesting address with address:{network.address} {_options(story, network)}.")]
    if not shown:
        return [*lines, ("ipam", f"Address request failed with {story.error.partition(': ')[2]}")]
    lines.append(("ipam", f"Address request completed with address:{shown}"))
    return [*lines, *_SAVED, ("cni-ipam", f"Allocated address {shown}.")]


def _pool_request(story: Story, network: Network) -> list[Line]:
    """Return how a pool was found, as the original would tell it: it goes through them and keeps the best so far."""
    if not story.known.pools:
        return []  # no space, nothing to ask
    v6 = str(network.v6).lower()
    lines: list[Line] = [("ipam", f"Requesting pool with poolId: {_options(story, network)} v6:{v6}.")]
    best: LearnedPool | None = None
    for pool in story.known.pools:
        verdict, best = _considered(pool, best, network, busy=network.strict and _is_busy(pool, story))
        lines += [("ipam", f"Checking pool {pool.name}."), *verdict]
    if story.pool is None:
        error = story.error.partition(": ")[2]
        return [*lines, ("ipam", f"Pool request completed with pool:<nil> err:{error}.")]
    shown = printing.pool(story.pool, story.before, taken=True)
    chosen = ("cni-ipam", f"Allocated address poolID {story.pool.name} with subnet {story.pool.name}.")
    return [*lines, ("ipam", f"Pool request completed with pool:{shown} err:<nil>."), *_SAVED, chosen, _REFRESHING]


def _is_busy(pool: LearnedPool, story: Story) -> bool:
    ours = story.pool is not None and story.pool.network == pool.network
    return pool.reserved and not ours and any(pool.network.first <= a <= pool.network.last for a in story.before)


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


def _give_back(story: Story) -> list[Line]:
    pool = story.pool
    assert pool is not None
    used = any(pool.network.first <= a <= pool.network.last for a in story.holders)
    skipped = f"Skip releasing pool with poolId:{pool.name}. due to address being in use"
    how = skipped if used else f"Releasing pool {pool.name} as there are no allocations"
    return [("cni-ipam", f"Releasing pool {pool.name}."), _REFRESHING, ("ipam", how), *_SAVED]


def _del(story: Story, network: Network) -> list[Line]:
    end = [("cni-ipam", f"DEL command completed with err:{story.error or '<nil>'}.")]
    if story.error:
        return [(network.origin.plugin, f"{story.error}."), *end]
    note = [] if story.released else [("", "Address not found. Not Returning error")]
    return [
        ("ipam", f"Releasing address with address:{network.address} {_options(story, network)}."),
        *note,
        ("ipam", f"Address release completed with address:{network.address or ' '.join(story.released)} err:<nil>."),
        *_SAVED,
        *end,
    ]
