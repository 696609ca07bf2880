"""Keeping azure-vnet-ipam's pools fresh without a call: which ledgers there are, and how each wants to be kept."""

from __future__ import annotations

from unipam.cni import originals
from unipam.cni.context import Context
from unipam.cni.plugin import Learnt
from unipam.dialects.azure_vnet.config import NAMES, Origin
from unipam.dialects.azure_vnet.site import Refreshed, Site
from unipam.ledger import refresh
from unipam.ledger.learned import Learned
from unipam.ledger.ledger import Ledger

_wanted: dict[tuple[str, str], Origin] = {}
"""For each data directory and plugin that was called for here, how the latest call wants its pools kept."""


def remember(directory: str, origin: Origin) -> None:
    """Remember how a call wants the pools of a ledger kept."""
    _wanted[directory, origin.plugin] = origin


def keep_warm(context: Context, directory: str) -> list[Learnt]:
    """Ask the sources that are due of the ledger in a directory; what they said. Raises the store's errors."""
    ledger = context.ledgers.find(directory)
    sites = [_site(context, ledger, directory, name) for name in NAMES] if ledger else []
    return [_learnt(site, site.freshen()) for site in sites if site is not None and site.is_due()]


def _site(context: Context, ledger: Ledger, directory: str, name: str) -> Site | None:
    """Return a space as the latest call wants it kept, or as it was kept before this process began."""
    settings = refresh.latest(ledger, name).settings
    if not settings:
        return None
    return Site(_wanted.get((directory, name)) or Origin(**settings), context, ledger, directory, originals.wait)


def _learnt(site: Site, news: Refreshed) -> Learnt:
    learned = news.outcome.learned or Learned()
    return Learnt(site.space, tuple((p.name, p.capacity) for p in learned.pools), news.outcome.attempt.error)
