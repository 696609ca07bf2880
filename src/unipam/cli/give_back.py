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

from unipam.cli.ledger import command_ledgers
from unipam.cni import originals
from unipam.dialects.azure_vnet.config import data_dir as azure_data_dir
from unipam.dialects.azure_vnet.record import StateFile
from unipam.dialects.azure_vnet.record import again as azure_again
from unipam.dialects.host_local import directory
from unipam.dialects.host_local.record import LeaseFiles
from unipam.ledger import handover, refresh
from unipam.ledger.handover import Handover, Holding
from unipam.ledger.learned import snapshot
from unipam.ledger.ledger import Ledger
from unipam.ledger.open import started
from unipam.model.errors import Refused, UnipamError
from unipam.model.records import Claim

T = TypeVar("T")


class Return(NamedTuple):
    """The way back of what a ledger keeps for one plugin.

    `wanted` are those of the ledger's spaces that go back, `to` is how each does, `again` the command that takes one
    over again, but for its name. With `closed` the ledger takes over no other space meanwhile, nor afterwards.
    """

    plugin: str
    ledger: Ledger
    again: str
    to: Callable[[str], Handover]
    wanted: Callable[[list[str]], Sequence[str]]
    closed: bool = True

    def handovers(self) -> list[Handover]:
        """Return the spaces that go back, as of now."""
        return [self.to(name) for name in self.wanted(handover.spaces(self.ledger))]


class Given(NamedTuple):
    """What a space of a plugin gave back, or would."""

    plugin: str
    space: str
    held: list[Claim]
    cursors: dict[int, int]

    def row(self, action: str) -> dict[str, object]:
        """Return it for people and machines."""
        counts = {"leases": len(self.held), "cursors": len(self.cursors)}
        return {"plugin": self.plugin, "network": self.space, "action": action, **counts}


def of_host_local(ledger: Ledger, data_dir: str, networks: Sequence[str] = ()) -> Return:
    """Return the way back to host-local, of these networks or all."""
    again = directory.again(data_dir)

    def to(network: str) -> Handover:
        return Handover(ledger, network, LeaseFiles(data_dir, network, ledger.boot, started()), again)

    return Return("host-local", ledger, again, to, lambda there: networks or there, closed=not networks)


def of_azure_vnet(ledger: Ledger, plugin: str, data_dir: str, state_file: str = "") -> Return:
    """Return the way back to azure-vnet-ipam, or to its copy for IPv6."""
    told = refresh.latest(ledger, plugin).settings.get("state_file")
    path = os.path.abspath(state_file or told or f"/var/run/{plugin}.json")
    again = azure_again(data_dir, path)

    def to(space: str) -> Handover:
        pools = snapshot(ledger, space)[0].pools
        return Handover(ledger, space, StateFile(path, data_dir, pools, ledger.boot, started()), again)

    return Return(plugin, ledger, again, to, lambda there: [plugin] if plugin in there else [])


def of_plugins(plugins: Iterable[str], data_dirs: Sequence[str], *, dry_run: bool) -> list[Return]:
    """Return the way back of whatever these plugins keep, host-local in the data directories, the others in their own.

    A data directory that has no ledger gets one for the mark, unless that is only to be shown.
    """
    found = []
    for plugin in plugins:
        for place in map(os.path.abspath, data_dirs if plugin == "host-local" else [azure_data_dir(plugin)]):
            opened = command_ledgers()
            ledger = opened.at(place) if os.path.isdir(place) and not dry_run else opened.find(place)
            if ledger is not None and plugin == "host-local":
                found.append(of_host_local(ledger, place))
            elif ledger is not None:
                found.append(of_azure_vnet(ledger, plugin, place))
    return found


def begun(returns: Sequence[Return], bin_dir: Path) -> list[Return]:
    """Return, where no launcher is any more, what one who was killed had begun and has yet to end.

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


def preview(returns: Sequence[Return]) -> list[Given]:
    """Return what each space would give back, in order. Raises what stands in the way."""
    return [_given(way, each, each.preview()) for way in returns for each in way.handovers()]


def _given(way: Return, each: Handover, holding: Holding) -> Given:
    return Given(way.plugin, each.space, holding.held, holding.cursors)


def give_back(
    returns: Sequence[Return], replace: Callable[[], T], undone: Callable[[], bool] = lambda: True
) -> tuple[list[Given], T]:
    """Give everything back, then `replace` the programs; what each space gave back, and what that answered.

    `replace` does all or nothing. When it fails, everything is taken back, unless it was not `undone`: then the former
    programs are in place and work with what they were given, and only the error is left to tell.
    """
    gone: list[Handover] = []
    given: list[Given] = []
    with contextlib.ExitStack() as undo:
        for way in returns:
            if way.closed:  # before its spaces are counted: none comes after that
                handover.close(way.ledger, way.again)
                undo.callback(_unless_in_place, undone, functools.partial(handover.reopen, way.ledger))
            for each in way.handovers():
                given.append(_given(way, each, each.begin()))
                gone.append(each)
                undo.callback(_unless_in_place, undone, functools.partial(_take_back, way.plugin, each))
        done = replace()
        undo.pop_all()
    for each in gone:
        each.end()
    return given, done


def _unless_in_place(undone: Callable[[], bool], act: Callable[[], None]) -> None:
    if undone():
        act()


def _take_back(plugin: str, each: Handover) -> None:
    try:
        originals.wait(plugin)  # it may have been in place for a moment
        each.undo()
    except UnipamError as error:
        raise type(error)(f"{each.space} stays given back, as taking it back failed too: {error.message}") from error
