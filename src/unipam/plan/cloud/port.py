"""The register's door to a cloud: the protocol of whoever fetches snapshots of it.

The register reads snapshots (`model.cloud`); how they are cached and refreshed is in
`plan.cloud.cache`, how they are fetched in `unipam.clients`. No rule about the plan belongs here.
"""

from __future__ import annotations

from typing import Protocol

from unipam.model.cloud import Snapshot


class Cloud(Protocol):
    """A source of snapshots. Both calls may be made from any thread, never inside a transaction."""

    def snapshot(self, *, newer_than: float = 0.0) -> Snapshot:
        """Return what the register's own identity sees: the truth for allocation, not for showing to everybody.

        Returns at once with the last snapshot when that was taken after `newer_than` (epoch seconds), else waits for
        one refresh; a source that is throttled may still answer with an older one. Raises SourceFailed when nothing
        was ever seen.
        """

    def visible_to(self, credential: str, *, newer_than: float = 0.0) -> Snapshot:
        """Return what the bearer of this access token may see by the cloud's own rules, looked at after `newer_than`.

        Raises SourceFailed.
        """

    def close(self) -> None:
        """Look no more, and let go of everything."""


class Unconnected:
    """No cloud: nothing is ever seen, and nothing is missed."""

    def snapshot(self, *, newer_than: float = 0.0) -> Snapshot:  # noqa: ARG002 (the protocol's)
        """Return an empty snapshot."""
        return Snapshot()

    def visible_to(self, credential: str, *, newer_than: float = 0.0) -> Snapshot:  # noqa: ARG002 (the protocol's)
        """Return an empty snapshot."""
        return Snapshot()

    def close(self) -> None:
        """Do nothing: nothing was held."""
