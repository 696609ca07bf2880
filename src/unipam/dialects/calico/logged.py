"""The original's log, for whoever reads it: of each ADD and DEL what was asked for and what came of it (spec §2.1).

It is written where the configuration names a `log_file_path`, in the original's form and words, with the places of its
source that it names itself. What only the original does (its lock, its requests one by one) is not told. stderr stays
empty: runtimes throw it away.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from functools import wraps
from typing import TYPE_CHECKING, Any, NamedTuple

from unipam.cni.call import Call
from unipam.cni.context import Context
from unipam.cni.plugin import Reply, Verb
from unipam.dialects.calico import arguments
from unipam.dialects.calico import config as calico
from unipam.dialects.calico.config import Network
from unipam.model.errors import UnipamError

if TYPE_CHECKING:
    from pathlib import Path

INFO, WARNING, ERROR = "INFO", "WARNING", "ERROR"
_MIB, _DAY = 1 << 20, 86400
_SIZE, _AGE, _COUNT = 100, 30, 10
"""What holds where the configuration does not say: MiB of a file, days and number of former ones (spec §1.13)."""


class Line(NamedTuple):
    """A line without its time; `place` is a file and a line of the original's source."""

    level: str
    place: str
    text: str


def logged(verb: Verb) -> Verb:
    """Return a verb that tells the original's log what it does, where the configuration names one."""

    @wraps(verb)
    def told(call: Call, context: Context) -> Reply:
        began = time.time()
        try:
            reply = verb(call, context)
        except UnipamError as error:
            tell(call, began, {}, error)
            raise
        tell(call, began, reply.facts)
        return reply

    return told


def tell(call: Call, began: float, facts: Mapping[str, object], error: UnipamError | None = None) -> None:
    """Tell the original's log, where there is one, of a call that began then, and what came of it."""
    if not call.config.document.get("log_file_path"):
        return
    addresses: Any = facts.get("addresses", ())
    with suppress(OSError, UnipamError, ValueError):  # a log that cannot be written fails no pod
        network = calico.remembered(call.config)
        asked, *rest = lines(call, network, addresses, error)
        document = call.config.document
        low = str(document.get("log_level") or "").lower() == "error"
        shown = [(began, asked), *((time.time(), line) for line in rest)]
        text = "".join(_form(moment, line) for moment, line in shown if line.level == ERROR or not low)
        if text:
            from pathlib import Path

            append(Path(document["log_file_path"]), text, _limits(document))


def _form(moment: float, line: Line) -> str:
    stamp = time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(moment))
    return f"{stamp}.{int(moment * 1000) % 1000:03} [{line.level}][{os.getpid()}] {line.place}: {line.text}\n"


def lines(call: Call, network: Network, addresses: Sequence[str], error: UnipamError | None) -> Iterator[Line]:
    """Yield what the original says of a call, given what was assigned or released, or what went wrong."""
    about = _about(call, network)
    if call.verb == "DEL":
        yield from _of_del(about, addresses, error)
        return
    wish = call.arguments.named.get("IP")
    if wish:
        yield Line(INFO, "ipam/ipam_plugin.go 240", f"Calico CNI IPAM request IP: {wish} {about}")
        if error:
            yield Line(ERROR, "ipam/ipam.go 1055", f"Failed to assign address {wish}: {error.message.strip()}")
        for each in addresses:
            place, family = ("ipam/ipam_plugin.go 288", "IPv6") if ":" in each else ("ipam/ipam_plugin.go 296", "IPv4")
            result = f"result.IPs={each.partition('/')[0]}"
            yield Line(INFO, place, f"Appending an {family} address to the result {about} {result}")
        return
    four, six = (sum(each == family for each in network.families) for family in (4, 6))
    yield Line(INFO, "ipam/ipam_plugin.go 311", f"Calico CNI IPAM request count IPv4={four} IPv6={six} {about}")
    if error:
        yield Line(ERROR, "ipam/ipam.go 132", f"Error assigning IPV4 addresses: {error.message}")
    given = [" ".join(each for each in addresses if (":" in each) == (family == 6)) for family in (4, 6)]
    text = f"Calico CNI IPAM assigned addresses IPv4=[{given[0]}] IPv6=[{given[1]}] {about}"
    yield Line(INFO, "ipam/ipam_plugin.go 407", text)


def _of_del(about: str, addresses: Sequence[str], error: UnipamError | None) -> Iterator[Line]:
    yield Line(INFO, "ipam/ipam_plugin.go 709", f"Releasing address using handleID {about}")
    if error:
        yield Line(ERROR, "ipam/ipam_plugin.go 872", f"Failed to release address {about} error={error.message}")
        return
    if addresses:
        yield Line(INFO, "ipam/ipam_plugin.go 877", f"Released address using handleID {about}")
    else:
        why = "Asked to release address but it doesn't exist. Ignoring"
        yield Line(WARNING, "ipam/ipam_plugin.go 875", f"{why} {about}")
    yield Line(INFO, "ipam/ipam_plugin.go 886", f"Releasing address using workloadID {about}")


def _about(call: Call, network: Network) -> str:
    """Return the fields by which lines of one call belong together."""
    container, interface = call.env.get("CNI_CONTAINERID", ""), call.env.get("CNI_IFNAME", "")
    pod = arguments.pod_of(call.arguments).pod
    of = f"k8s-{_escaped(pod)}" if pod else f"cni-{_escaped(container)}"
    workload = f"{_escaped(network.node)}-{of}-{_escaped(interface)}"
    return f'ContainerID="{container}" HandleID="{network.handle(container)}" Workload="{workload}"'


def _escaped(name: str) -> str:
    return name.replace("-", "--")


# The file ---------------------------------------------------------------------------------------------------------


class Limits(NamedTuple):
    """How large a log grows, in bytes; how long former ones are kept, in seconds, and how many."""

    size: int
    age: float
    number: int


def _limits(document: dict[str, Any]) -> Limits:
    size, age, count = (
        int(document.get(f"log_file_max_{name}") or default)
        for name, default in (("size", _SIZE), ("age", _AGE), ("count", _COUNT))
    )
    return Limits(size * _MIB, age * _DAY, count)


def append(path: Path, text: str, limits: Limits) -> None:
    """Append lines to a log; one that would grow too large is put aside first, and old ones are removed.

    Whoever else writes it now waits, so that only one puts it aside. Raises OSError.
    """
    import fcntl

    path.parent.mkdir(mode=0o755, parents=True, exist_ok=True)
    with path.open("ab") as file:
        os.fchmod(file.fileno(), 0o644)
        fcntl.flock(file, fcntl.LOCK_EX)
        same = _is_there(file.fileno(), path)
        if same and file.tell() and file.tell() + len(text) > limits.size:
            _put_aside(path, limits)
            same = False
        if same:
            file.write(text.encode())
            return
    with path.open("ab") as file:
        file.write(text.encode())


def _is_there(descriptor: int, path: Path) -> bool:
    """Return whether an open file is still the one of this name."""
    with suppress(OSError):
        return os.path.samestat(os.fstat(descriptor), path.stat())
    return False


def _put_aside(path: Path, limits: Limits) -> None:
    now = time.time()
    stamp = time.strftime("%Y-%m-%dT%H-%M-%S", time.localtime(now))
    path.rename(path.with_name(f"{path.stem}-{stamp}.{int(now * 1000) % 1000:03}{path.suffix}"))
    former = sorted(path.parent.glob(f"{path.stem}-*T*{path.suffix}"), reverse=True)
    for number, each in enumerate(former):
        with suppress(OSError):
            if number >= limits.number or now - each.stat().st_mtime > limits.age:
                each.unlink()
