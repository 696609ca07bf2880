"""Keeping azure-vnet-ipam's pools fresh without a call: which ledgers there are, and how each wants to be kept."""

from __future__ import annotations

from unipam.cni.context import Context
from unipam.cni.plugin import Learnt
from unipam.dialects.azure_vnet.config import NAMES, Origin
from unipam.dialects.azure_vnet.space import LearnedSpace, Refreshed
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
    spaces = [_space(context, ledger, directory, name) for name in NAMES] if ledger else []
    return [_learnt(space, space.ask_source()) for space in spaces if space is not None and space.is_due()]


def _space(context: Context, ledger: Ledger, directory: str, name: str) -> LearnedSpace | None:
    """Return a space as the latest call wants it kept, or as it was kept before this process began."""
    settings = refresh.latest(ledger, name).settings
    if not settings:
        return None
    return LearnedSpace(_wanted.get((directory, name)) or Origin(**settings), context, ledger, directory)


def _learnt(space: LearnedSpace, news: Refreshed) -> Learnt:
    learned = news.outcome.learned or Learned()
    return Learnt(space.name, tuple((p.name, p.capacity) for p in learned.pools), news.outcome.attempt.error)
