"""Azure as whoever keeps snapshots wants it: it reads as the register, or on behalf of the bearer of a token."""

from __future__ import annotations

import time
from collections.abc import Callable

from unipam.clients.azure import credentials
from unipam.clients.azure.pace import Time
from unipam.clients.azure.read.reader import Reader
from unipam.clients.azure.settings import Settings
from unipam.model.cloud import Snapshot
from unipam.model.errors import SourceFailed


class Azure:
    """One Azure, one tenant, one identity of the register's own."""

    def __init__(self, settings: Settings, clock: Time | None = None, now: Callable[[], float] = time.time) -> None:
        """Check the settings; nothing is asked yet. Raises BadConfig."""
        self._settings = settings.checked()
        self._clock = clock
        self._now = now
        self._reader = Reader(settings, credentials.own(settings), clock, now)

    def close(self) -> None:
        """Give the connections back."""
        self._reader.close()

    def read(self, previous: Snapshot) -> Snapshot:
        """Read what the register's identity sees, or take what `previous` has of it. Raises SourceFailed."""
        return self._reader.read(previous)

    def read_on_behalf_of(self, token: str, previous: Snapshot) -> Snapshot:
        """Return what the bearer of the token sees, by Azure's own rights. Raises SourceFailed."""
        if not credentials.can_act_for_users(self._settings):
            raise SourceFailed(
                "what a person may see is asked on behalf of them, which a managed identity cannot do: give the"
                " register a client secret or a federated token file",
                source="entra",
            )
        reader = Reader(self._settings, credentials.on_behalf_of(self._settings, token), self._clock, self._now)
        try:
            return reader.read(previous)
        finally:
            reader.close()
