"""Azure as the register's cloud: its clients and its cache, put together. For `run.Settings.cloud`."""

from __future__ import annotations

from unipam.clients.azure.settings import Settings
from unipam.plan.cloud.cache import EVERY, CachedCloud


def connect(settings: Settings, every: float = EVERY) -> CachedCloud:
    """Connect a cloud that looks at Azure every so many seconds, from now on until it is closed. Raises BadConfig."""
    from unipam.clients.azure.source import Azure  # imports azure-core, which only those who connect pay for

    azure = Azure(settings)
    return CachedCloud(azure.read, azure.read_on_behalf_of, every=every, done=azure.close).start()
