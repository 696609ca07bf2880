"""A ledger that azure-vnet-ipam's calls work on: what it inherits, how it is kept fresh, the state file beside it."""

from __future__ import annotations

import functools
import os
import time
from typing import NamedTuple

from unipam.cni import originals
from unipam.cni.context import Context
from unipam.dialects.azure_vnet import source, state
from unipam.dialects.azure_vnet.config import Origin
from unipam.dialects.azure_vnet.source import Remark
from unipam.ledger import learned, refresh
from unipam.ledger.change import Inheritance
from unipam.ledger.ledger import Ledger
from unipam.ledger.open import started
from unipam.ledger.refresh import Outcome
from unipam.model.errors import StoreBroken


class Refreshed(NamedTuple):
    """How a refresh went, and what the original's log says about it."""

    outcome: Outcome
    remarks: list[Remark]


class LearnedSpace(NamedTuple):
    """One ledger and where what it knows comes from. The space in it is called like the plugin."""

    origin: Origin
    context: Context
    ledger: Ledger
    directory: str

    @property
    def name(self) -> str:
        """The name of the space in the ledger."""
        return self.origin.plugin

    def inherit(self) -> Inheritance:
        """Return what the original left behind. Raises WouldBlock, StoreBusy or StoreBroken."""
        path = self.origin.state_file
        self.context.require_waiting(f"first contact with the state file {path}")
        originals.wait(self.origin.plugin)
        if not os.path.exists(path):
            return Inheritance()
        return state.inherit(path, self.ledger.boot, started())

    def is_due(self, *, needed: bool = False) -> bool:
        """Return whether it is time to ask the source again."""
        latest = refresh.latest(self.ledger, self.name, self.origin.environment)
        return self._asking([]).due(latest, self.ledger.boot, needed=needed)

    def ask_source(self, *, needed: bool = False) -> Refreshed:
        """Ask the source if it is due; a failure is written down and leaves what is known. Raises the store's errors.

        With `needed` an answer that somebody else is waiting for is waited for too.
        """
        remarks: list[Remark] = []
        outcome = refresh.refresh(
            self.ledger, self.directory, self.name, self._asking(remarks), inherit=self.inherit, needed=needed
        )
        if outcome.attempt.failures and outcome.asked:
            remarks.append(("ipam", f"Source refresh failed, err:{outcome.attempt.error}."))
        if outcome.learned is not None:
            self.save()
        return Refreshed(outcome, remarks)

    def _asking(self, remarks: list[Remark]) -> refresh.Source:
        environment = self.origin.environment
        fetch = functools.partial(source.fetch, environment, remarks)
        once = environment == "ipv6NodeIpam"  # a node's ranges do not change (spec §1.9)
        return refresh.Source(environment, fetch, self.origin.interval, self.origin._asdict(), once)

    def save(self) -> None:
        """Write the state file, if it is wanted. Raises StoreBroken."""
        if not self.origin.write_state:
            return
        path = self.origin.state_file
        try:
            state.write(path, self._text, f"{self.directory}/state.lock")
        except OSError as error:
            raise StoreBroken(
                f"cannot write the state file {path}: {(error.strerror or '').lower()}", path=path, code=100
            ) from error

    def _text(self) -> str:
        known, holders = learned.snapshot(self.ledger, self.name)
        return state.render(known.pools, holders, version(), state.stamp(time.time_ns()))


@functools.cache
def version() -> str:
    """Return what stands as the writer's version in files that others read."""
    from importlib.metadata import version as installed  # slow to import, and seldom needed

    return f"unipam-{installed('unipam')}"
