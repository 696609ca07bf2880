"""How Calico's lines look, and which of them are only steps on the way to an address: most of the plugin's own log."""

from __future__ import annotations

from unipam.diagnose import stamps

STEP_HEAD = 20
STEPS = frozenset(
    text[:STEP_HEAD]
    for text in (
        b"Looking up existing affinities",
        b"Trying affinity for ",
        b"Attempting to load block",
        b"Attempting to assign",
        b"Attempting to confirm",
        b"Auto-assign 1 ipv4, ",
        b"Auto-assign 0 ipv4, ",
        b"Writing block in order to claim",
        b"Querying block so we can release",
        b"Block has 1 IPs with the given handle",
        b"Updating block to release",
        b"Extracted identifiers",
        b"Calico CNI found existing",
        b"Calico CNI using IPs",
        b"Calico CNI releasing IP",
        b"Calico CNI IPAM request",
        b"Calico CNI IPAM handle",
        b"Releasing all IPs with handle",
        b"Releasing address using",
        b"Releasing IP address(es)",
        b"Released host-wide IPAM lock",
        b"Setting the host side veth",
        b"Populated endpoint ContainerID",
        b"Added Mac, interface",
        b"Wrote updated endpoint",
        b"Disabling IPv4 forwarding",
        b"Cleaning up netns ContainerID",
        b"Auto assigning IP ContainerID",
        b"Assigning provided IP",
        b"Appending an IPv4 address to the result",
        b"Attempting to claim the block",
        b"Attempting to create a new block",
        b"Block affinity already exists",
        b"Block is already claimed by this host",
        b"Confirming affinity",
        b"Creating new handle: ",
        b"Cleaning up netns",
        b"Configured environment",
        b"Found sufficient existing IP allocations",
        b"Got result from IPAM plugin",
        b"Existing affinity is already confirmed",
        b"Looking for blocks with free IP addresses",
        b"Networked namespace",
        b"Performing a full scan of IPAM allocations",
        b"Populated endpoint (with nets)",
        b"Received block delete",
        b"Releasing affinity for empty block",
        b"Successfully confirmed affinity",
        b"Successfully created block",
        b"Successfully deleted empty block",
        b"Syncer is InSync, kicking sync channel",
        b"Tried all affine blocks. Looking for an affine block",
        b"Trying to create affinity in pending state",
        b"Updating assignments in block",
        b"Workload's netns already gone",
        b"Workload's pod interface was already gone",
        b"Wrote affinity as pending",
        b"Confirmed valid IP after",
        b"Entered netns, deleting pod interface.",
        b"Deleting workload's device in netns.",
        b"Calico CNI deleting device in netns",
        b"Calico CNI deleted device in netns",
        b"Will run periodic IPAM sync every",
        b"Marking IPAM for full resync",
    )
)
"""Messages of the way to an address that say nothing by themselves: most lines of the plugin's own log."""

LOCKS = (b"About to acquire host-wide IPAM lock", b"Acquired host-wide IPAM lock")


def is_bracketed(line: bytes) -> bool:
    """Return whether a line looks as Calico writes them: `2022-01-30 17:21:07.123 [INFO][77] file 12: message`."""
    return line[24:25] == b"[" and line[19:20] == b"."


def pid_of(line: bytes) -> str:
    """Return the process id of a line of the bracket form."""
    return line[line.find(b"][", 24) + 2 : line.find(b"] ", 24)].decode()


class Bracketed:
    """When a line of the bracket form was written, and by which process."""

    __slots__ = ("_line",)

    def __init__(self, line: bytes) -> None:
        self._line = line

    @property
    def at(self) -> float | None:
        return stamps.plain(self._line[:23])

    @property
    def pid(self) -> str:
        return pid_of(self._line)


def is_step(message: bytes) -> bool:
    """Return whether a message is only a step on the way to an address."""
    return message[:STEP_HEAD] in STEPS
