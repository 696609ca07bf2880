"""A selection as it is now, without asking: listed once, and kept by a watch.

While no watch stands (the server is away, or refuses to be watched), whoever reads lists, and what was listed serves
those who come within a moment of it. So what is read here is old by no more than that, or by the way of an event. Where
the server refuses even lists, as it does of nodes for the credentials of Calico's own plugin, single objects are read.
"""

from __future__ import annotations

import random
import threading
import time
from contextlib import suppress

from unipam.dialects.calico.datastore.api import Broken, Datastore, Event, Item, Listing, Selection, Watch
from unipam.dialects.calico.datastore.keys import Key
from unipam.dialects.calico.datastore.paths import path
from unipam.model.errors import Expired, NotFound, SourceFailed, UnipamError

_MOMENT = 1.0
"""Seconds for which a list serves while there is no watch."""
_PATIENCE = 10.0
"""Seconds in which a list, and the beginning of a watch, must be answered."""
_LOOK = 60.0
"""Seconds after which a watch that tells nothing is looked at."""
_FIRST_PAUSE, _LONGEST_PAUSE = 0.1, 30.0
"""Seconds between two tries to watch: twice as long each time, and up to half as long again, at random."""


class Following:
    """What a datastore has of one selection. Any thread may read it."""

    def __init__(self, store: Datastore, selection: Selection) -> None:
        self._store, self._selection = store, selection
        self._lock = threading.Lock()
        self._items: dict[Key, Item] = {}
        self._broken: tuple[Broken, ...] = ()
        self._listing: Listing | None = None
        self._seed: Listing | None = None
        self._good_until = 0.0
        self._lists_again = self._single_until = 0.0
        self._watch: Watch | None = None
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._follow, name="following", daemon=True)
        self._started = False

    def listing(self, deadline: float) -> Listing:
        """Return the selection in the order of the datastore's names. What it holds is everybody's: change none of it.

        Raises SourceFailed.
        """
        with self._lock:
            if self._known():
                return self._listed()
        listing = self._store.list(self._selection, deadline)
        with self._lock:
            if not self._known():
                self._take(listing)
                self._good_until = time.monotonic() + _MOMENT
                self._seed = listing
            if not self._started:
                self._started = True
                self._thread.start()
            return self._listed()

    def find(self, key: Key, deadline: float) -> Item | None:
        """Return the object of this key, if it is there. Raises as `listing`, and Unreadable."""
        if time.monotonic() >= self._lists_again:
            try:
                self.listing(deadline)
            except SourceFailed:
                self._lists_again = time.monotonic() + _LONGEST_PAUSE
        if time.monotonic() < self._lists_again and not self._is_fresh(key):
            self._read(key, deadline)
        with self._lock:
            return self._items.get(key)

    def _is_fresh(self, key: Key) -> bool:
        with self._lock:
            return self._known() or (key in self._items and time.monotonic() < self._single_until)

    def _read(self, key: Key, deadline: float) -> None:
        try:
            item = self._store.get(key, deadline)
        except NotFound:
            self.lost(key)
            return
        with self._lock:
            self._put(item)
            self._single_until = time.monotonic() + _MOMENT

    def wrote(self, item: Item) -> None:
        """Take note of what this process has written, ahead of the watch."""
        with self._lock:
            self._put(item)

    def lost(self, key: Key) -> None:
        """Take note that an object is not there any more, or that nobody knows what became of it."""
        with self._lock:
            self._remove(key)

    def doubt(self) -> None:
        """Trust nothing that is known until somebody has listed again: it has led somebody astray."""
        with self._lock:
            watch, self._watch, self._good_until, self._single_until = self._watch, None, 0.0, 0.0
        if watch is not None:
            watch.close()

    def close(self) -> None:
        """Stop following."""
        self._stopped.set()
        self.doubt()

    def known(self) -> bool:
        """Return whether it is answered without asking."""
        with self._lock:
            return self._known()

    def _known(self) -> bool:
        return time.monotonic() < self._good_until

    def _listed(self) -> Listing:
        if self._listing is None:
            items = sorted(self._items.values(), key=lambda item: path(item.key))
            self._listing = Listing(tuple(items), "", self._broken)
        return self._listing

    def _take(self, listing: Listing) -> None:
        self._items = {item.key: item for item in listing.items}
        self._broken, self._listing = listing.broken, None

    def _put(self, item: Item) -> None:
        present = self._items.get(item.key)
        if present is None or not _is_older(item, present):
            self._items[item.key] = item
            self._listing = None

    def _remove(self, key: Key) -> None:
        if self._items.pop(key, None) is not None:
            self._listing = None

    # ---- the thread that watches

    def _follow(self) -> None:
        pause = _FIRST_PAUSE
        while not self._stopped.is_set():
            try:
                self._watch_once()
                pause = _FIRST_PAUSE
            except Expired:
                pause = _FIRST_PAUSE
            except UnipamError:
                pause = min(2 * pause, _LONGEST_PAUSE)
            self._stopped.wait(pause * random.uniform(1.0, 1.5))  # noqa: S311 (it only spreads load)

    def _watch_once(self) -> None:
        """List, unless somebody just has, and follow what happens until that ends: raise why, return if closed."""
        with self._lock:
            listing, self._seed = self._seed if self._known() else None, None
        listing = listing or self._store.list(self._selection, time.monotonic() + _PATIENCE)
        watch = self._store.watch(self._selection, listing.revision, time.monotonic() + _PATIENCE)
        try:
            with self._lock:
                if self._stopped.is_set():
                    return
                self._take(listing)
                self._watch, self._good_until = watch, float("inf")
            while self._watch is watch:
                self._apply(watch, watch.next(time.monotonic() + _LOOK))
        finally:
            with self._lock:
                if self._watch is watch:
                    self._watch, self._good_until = None, 0.0
            with suppress(UnipamError):
                watch.close()

    def _apply(self, watch: Watch, events: tuple[Event, ...]) -> None:
        with self._lock:
            if self._watch is not watch:
                return
            for event in events:
                name = path(event.item.key)
                self._broken = tuple(each for each in self._broken if each.name != name)
                if event.what in {"deleted", "broken"}:
                    self._remove(event.item.key)
                else:
                    self._put(event.item)
                if event.what == "broken":
                    self._broken = (*self._broken, Broken(name, "it was broken by hand"))
                    self._listing = None


def _is_older(item: Item, than: Item) -> bool:
    """Return whether an item was written before another one: revisions are whole numbers in every datastore here."""
    with suppress(ValueError):
        return int(item.revision) < int(than.revision)
    return False
