"""Everything that a storm did, for whoever has to find out why it failed.

`UNIPAM_CALICO_RECORD` names a directory. Each storm writes a file there, with a line of JSON for each call, each death
and each change of a key of etcd, also where etcd is an API server's: `zgrep CONTAINER` tells what became of one.
"""

from __future__ import annotations

import contextlib
import gzip
import json
import os
import threading
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from tests.real.etcd import soon

from unipam.clients.etcd.client import Etcd
from unipam.clients.etcd.messages import WatchResponse
from unipam.clients.etcd.settings import Settings
from unipam.model.errors import SourceFailed

DIRECTORY = os.environ.get("UNIPAM_CALICO_RECORD", "")


class Record:
    """The lines, from any thread. Where no directory is named nothing is written."""

    def __init__(self, name: str) -> None:
        path = Path(DIRECTORY) / f"{name}-{time.time():.0f}.jsonl.gz" if DIRECTORY else os.devnull
        self._file = gzip.open(path, "wt", compresslevel=1)  # noqa: SIM115 (closed by `recording`)
        self._lock = threading.Lock()

    def note(self, what: str, **facts: Any) -> None:
        """Write a line."""
        with self._lock:
            self._file.write(json.dumps({"at": round(time.time(), 4), "what": what, **facts}) + "\n")

    def close(self) -> None:
        self._file.close()


@contextlib.contextmanager
def recording(name: str, endpoints: Sequence[str]) -> Iterator[Record]:
    """Record what is noted, and all that happens to etcd's keys, until the block is left."""
    with contextlib.closing(Record(name)) as record:
        if not DIRECTORY:
            yield record
            return
        over, etcd = threading.Event(), Etcd(Settings(tuple(endpoints)))
        thread = threading.Thread(target=_follow, args=(etcd, record, over))
        thread.start()
        try:
            yield record
        finally:
            over.set()
            thread.join()
            etcd.close()


def _follow(etcd: Etcd, record: Record, over: threading.Event) -> None:
    """Note every change until all that there was when it was `over` has been noted."""
    revision = etcd.range(b"\0", b"", soon()).revision
    last = None
    while last is None or revision < last:
        with contextlib.suppress(SourceFailed):  # etcd dies now and then
            last = etcd.range(b"\0", b"", soon()).revision if over.is_set() else None
            with contextlib.closing(etcd.watch(b"\0", b"\0", revision, soon())) as watch:
                while told := watch.take(time.monotonic() + 1.0):
                    for each in told:
                        _note(record, each)
                        revision = each.revision


def _note(record: Record, told: WatchResponse) -> None:
    for change in told.changes:
        key, value = change.pair.key.decode(), "" if change.removed else change.pair.value.decode(errors="replace")
        record.note("key", revision=change.pair.revision, key=key, value=value)
