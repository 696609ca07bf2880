"""host-local's directory as the record to which a network is given back (`ledger.handover.Record`)."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator, Sequence

from unipam.dialects.host_local import directory
from unipam.dialects.host_local.directory import Kept
from unipam.ledger.change import Inheritance
from unipam.ledger.handover import UnknownLeases
from unipam.model.errors import Mismatch, StoreBroken
from unipam.model.records import Claim

_NAMED = 5
"""How many strange leases an error names; who has more of them has another problem."""


class LeaseFiles:
    """The directory of one network. `boot` and `booted` are those of `directory.scan`."""

    def __init__(self, data_dir: str, network: str, boot: int, booted: float) -> None:
        self.path = os.path.join(data_dir, network)
        self._again = f"{directory.again(data_dir)} {network}"
        self._boot = boot
        self._booted = booted
        self._before: dict[str, Kept] = {}
        self._after: dict[str, Kept] = {}

    def compare(self, unknown: UnknownLeases) -> None:
        """Do as `Record` says. Raises Mismatch."""
        if not os.path.isdir(self.path):
            return
        strange = [f"{claim.text} ({claim.owner})" for claim in unknown(self._scan().claims)]
        if strange:
            more = f" and {len(strange) - _NAMED} more" if len(strange) > _NAMED else ""
            raise Mismatch(
                f"{self.path} has leases that the ledger does not know: {', '.join(strange[:_NAMED])}{more}; host-local"
                " made them since, and going back would delete them: restart their pods, delete these files, and try"
                " again; nothing was changed",
                path=self.path,
                leases=strange,
            )

    def put(self, held: Sequence[Claim], cursors: dict[int, int], unknown: UnknownLeases) -> None:
        """Do as `Record` says. Raises Mismatch, StoreBusy while host-local holds its lock, StoreBroken."""
        with self._reported("nothing was given back"):
            os.makedirs(self.path, mode=0o755, exist_ok=True)
            with directory.locked(self.path):
                self.compare(unknown)
                self._before = directory.state(self.path)
                try:
                    directory.write(self.path, held, cursors, self._again)
                    self._verify(held, cursors)
                except BaseException:
                    directory.replace(self.path, directory.state(self.path), self._before)
                    raise
                self._after = directory.state(self.path)

    def _verify(self, held: Sequence[Claim], cursors: dict[int, int]) -> None:
        found = self._scan()
        same = {(c.first, c.owner) for c in found.claims} == {(c.first, c.owner) for c in held}
        if not same or not cursors.items() <= dict(found.cursors).items():
            raise StoreBroken(f"{self.path} does not say what was written to it: it was put back", path=self.path)

    def take_back(self) -> Inheritance | None:
        """Do as `Record` says. Raises StoreBusy or StoreBroken."""
        with self._reported("it stays as it is"), directory.locked(self.path):
            now = directory.state(self.path)
            if directory.leases(now) == directory.leases(self._after):
                directory.replace(self.path, now, self._before)
                return None
            return self._scan()._replace(adopted=lambda: directory.leave_note(self.path))

    def _scan(self) -> Inheritance:
        return directory.scan(self.path, self._boot, self._booted).inheritance

    @contextlib.contextmanager
    def _reported(self, so: str) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise StoreBroken(
                f"cannot write the host-local directory {self.path}: {error.strerror}; {so}", path=self.path
            ) from error
