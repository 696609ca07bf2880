"""azure-vnet-ipam's state file as the record to which its pools are given back (`ledger.handover.Record`)."""

from __future__ import annotations

import contextlib
import os
import shlex
import time
from collections.abc import Iterator, Sequence

from unipam.dialects.azure_vnet import space, state
from unipam.ledger.change import Inheritance
from unipam.ledger.handover import UnknownLeases
from unipam.ledger.learned import LearnedPool
from unipam.model.errors import Mismatch, StoreBroken, StoreBusy
from unipam.model.records import Claim


def again(data_dir: str, state_file: str) -> str:
    """Return the command that takes the pools over again, but for the plugin's name."""
    words = ["unipam", "adopt", "azure-vnet-ipam", "--data-dir", data_dir, "--state-file", state_file, "--plugin"]
    return shlex.join(words)


class StateFile:
    """The state file at `path`, for `pools`; our own lock on it lies in `data_dir`."""

    def __init__(self, path: str, data_dir: str, pools: Sequence[LearnedPool], boot: int, booted: float) -> None:
        self.path = path
        self._lock = f"{data_dir}/state.lock"
        self._pools = pools
        self._boot = boot
        self._booted = booted
        self._before: bytes | None = None
        self._after: bytes | None = None

    def compare(self, unknown: UnknownLeases) -> None:
        """Do as `Record` says. Raises Mismatch."""
        strange = [f"{claim.text} ({claim.owner})" for claim in unknown(self._said().claims)]
        if strange:
            raise Mismatch(
                f"{self.path} has addresses in use that the ledger does not know: {', '.join(strange)}; azure-vnet-ipam"
                " handed them out since, and going back would lose them: restart their pods, move the file away, and"
                " try again; nothing was changed",
                path=self.path,
                leases=strange,
            )

    def _said(self) -> Inheritance:
        """Return what the file says; nothing when it says nothing that the original could read either."""
        with contextlib.suppress(StoreBroken):
            return state.inherit(self.path, self._boot, self._booted)
        return Inheritance()

    def put(self, held: Sequence[Claim], cursors: dict[int, int], unknown: UnknownLeases) -> None:  # noqa: ARG002 (there are none)
        """Do as `Record` says. Raises Mismatch, StoreBusy while the original holds its lock, StoreBroken."""
        self.compare(unknown)
        if not all(any(p.network.first <= c.first <= p.network.last for p in self._pools) for c in held):
            raise StoreBusy("a pool was learned in this very moment: try again", path=self.path)
        holders = {claim.first: claim.owner.holder for claim in held}
        text = state.render(self._pools, holders, space.version(), state.stamp(time.time_ns()))
        with self._reported("nothing was given back"), state.locked(self.path):
            self._before = _content(self.path)
            state.write(self.path, lambda: text, self._lock)
            self._after = _content(self.path)

    def take_back(self) -> Inheritance | None:
        """Do as `Record` says. Raises StoreBusy or StoreBroken."""
        with self._reported("it stays as it is"), state.locked(self.path):
            if _content(self.path) == self._after:
                self._restore()
                return None
        return state.inherit(self.path, self._boot, self._booted)

    def _restore(self) -> None:
        if self._before is None:
            with contextlib.suppress(FileNotFoundError):
                os.unlink(self.path)
        else:
            before = self._before.decode("utf-8", "surrogateescape")
            state.write(self.path, lambda: before, self._lock)

    @contextlib.contextmanager
    def _reported(self, so: str) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise StoreBroken(f"cannot write {self.path}: {error.strerror}; {so}", path=self.path) from error


def _content(path: str) -> bytes | None:
    try:
        with open(path, "rb") as file:
            return file.read()
    except FileNotFoundError:
        return None
