"""The way back: every lease into the record of the system it came from, then that system's program into its place.

All of it or nothing: what fails on the way undoes what was done before it.
"""

from __future__ import annotations

import contextlib
import functools
import os
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import NamedTuple, TypeVar

from unipam.cni import originals
from unipam.dialects.azure_vnet.config import data_dir as azure_data_dir
from unipam.dialects.azure_vnet.record import StateFile
from unipam.dialects.azure_vnet.record import again as azure_again
from unipam.dialects.host_local import directory
from unipam.dialects.host_local.record import LeaseFiles
from unipam.ledger import handover, refresh
from unipam.ledger.handover import Handover, Holding
from unipam.ledger.learned import LearnedPool, snapshot
from unipam.ledger.ledger import Ledger
from unipam.ledger.open import Ledgers, started
from unipam.model.errors import Refused, UnipamError

T = TypeVar("T")


class Return(NamedTuple):
    """What goes back of one ledger to one plugin: these spaces; with `closed`, the ledger takes no other one over.

    `pools` are those that were learned, with which a state file is written.
    """

    plugin: str
    ledger: Ledger
    again: str
    handovers: list[Handover]
    closed: bool
    pools: Sequence[LearnedPool] = ()


def of_host_local(ledger: Ledger, data_dir: str, networks: Sequence[str] = ()) -> Return:
    """The way back to host-local, of these networks or all."""
    again = directory.again(data_dir)

    def to_directory(network: str) -> Handover:
        return Handover(ledger, network, LeaseFiles(data_dir, network, ledger.boot, started()), again)

    found = [to_directory(name) for name in networks or handover.spaces(ledger)]
    return Return("host-local", ledger, again, found, closed=not networks)


def of_azure_vnet(ledger: Ledger, plugin: str, data_dir: str, state_file: str = "") -> Return:
    """The way back to azure-vnet-ipam, or to its copy for IPv6."""
    told = refresh.latest(ledger, plugin).settings.get("state_file")
    path = os.path.abspath(state_file or told or f"/var/run/{plugin}.json")
    pools = snapshot(ledger, plugin)[0].pools
    again = azure_again(data_dir, path)
    record = StateFile(path, data_dir, pools, ledger.boot, started())
    found = [Handover(ledger, plugin, record, again)] if plugin in handover.spaces(ledger) else []
    return Return(plugin, ledger, again, found, closed=True, pools=pools)


def of_plugins(plugins: Iterable[str], data_dirs: Sequence[str], *, dry_run: bool) -> list[Return]:
    """The way back of whatever these plugins keep, host-local in the data directories, the others in their own.

    A data directory that has no ledger gets one for the mark, unless that is only to be shown.
    """
    found = []
    for plugin in plugins:
        for place in map(os.path.abspath, data_dirs if plugin == "host-local" else [azure_data_dir(plugin)]):
            ledgers = Ledgers()
            ledger = ledgers.at(place) if os.path.isdir(place) and not dry_run else ledgers.find(place)
            if ledger is not None and plugin == "host-local":
                found.append(of_host_local(ledger, place))
            elif ledger is not None:
                found.append(of_azure_vnet(ledger, plugin, place))
    return found


def begun(returns: Sequence[Return], bin_dir: Path) -> list[Return]:
    """Where no launcher is any more: what one who was killed had begun, and has yet to end.

    Raises Refused when there is anything else: somewhere else a launcher may be at work on it.
    """
    for way in returns:
        whole = set(handover.spaces(way.ledger)) - set(handover.begun(way.ledger))
        if whole:
            raise Refused(
                f"{bin_dir} has no launcher, and there are leases of {', '.join(sorted(whole))} to give back: name the"
                " runtime's plugin directory with --bin-dir; nothing was changed"
            )
    return [way._replace(closed=False) for way in returns]


def rows(returns: Sequence[Return], held: Sequence[Holding], action: str) -> list[dict[str, object]]:
    """What each space gave back, or would, for people and machines."""
    spaces = [(way.plugin, each.space) for way in returns for each in way.handovers]
    return [
        {"plugin": plugin, "network": space, "action": action, "leases": len(found.held), "cursors": len(found.cursors)}
        for (plugin, space), found in zip(spaces, held, strict=True)
    ]


def preview(returns: Sequence[Return]) -> list[Holding]:
    """What each space would give back, in order. Raises what stands in the way."""
    return [each.preview() for way in returns for each in way.handovers]


def give_back(
    returns: Sequence[Return], replace: Callable[[], T], undone: Callable[[], bool] = lambda: True
) -> tuple[list[Holding], T]:
    """Give everything back, then `replace` the programs; what each space gave back, and what that answered.

    `replace` does all or nothing. When it fails, everything is taken back, unless it was not `undone`: then the former
    programs are in place and work with what they were given, and only the error is left to tell.
    """
    held: list[Holding] = []
    with contextlib.ExitStack() as undo:
        for way in returns:
            if way.closed:
                handover.close(way.ledger, way.again)
                undo.callback(_unless_in_place, undone, functools.partial(handover.reopen, way.ledger))
            for each in way.handovers:
                held.append(each.begin())
                undo.callback(_unless_in_place, undone, functools.partial(_take_back, way.plugin, each))
        done = replace()
        undo.pop_all()
    for way in returns:
        for each in way.handovers:
            each.end()
    return held, done


def _unless_in_place(undone: Callable[[], bool], act: Callable[[], None]) -> None:
    if undone():
        act()


def _take_back(plugin: str, each: Handover) -> None:
    try:
        originals.wait(plugin)  # it may have been in place for a moment
        each.undo()
    except UnipamError as error:
        raise type(error)(f"{each.space} stays given back, as taking it back failed too: {error.message}") from error
