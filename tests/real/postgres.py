"""A real PostgreSQL server for the tests: Debian's, on a unix socket and a loopback port, gone at the end."""

from __future__ import annotations

import atexit
import contextlib
import os
import pwd
import shutil
import socket
import subprocess
import tempfile
from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path
from typing import Any

import psycopg
import pytest

BINARIES = Path("/usr/lib/postgresql")


def binaries() -> Path | None:
    """Where the newest installed server is."""
    found = sorted(BINARIES.glob("*/bin/postgres"), key=lambda path: int(path.parts[-3]))
    return found[-1].parent if found else None


needs_postgres = pytest.mark.skipif(binaries() is None, reason="needs the Debian package postgresql")


class Cluster:
    """A running server. `url(name)` addresses a database on it; `create` makes an empty one."""

    def __init__(self, directory: Path, fsync: str = "off") -> None:
        self._fsync = fsync
        self._directory = directory
        self._data = directory / "data"
        self.port = _free_port()
        self._number = 0

    def url(self, name: str = "postgres") -> str:
        return f"postgresql://postgres@127.0.0.1:{self.port}/{name}"

    def create(self) -> str:
        """A new, empty database; its URL."""
        self._number += 1
        name = f"plan{self._number}"
        with psycopg.connect(self.url(), autocommit=True) as connection:
            connection.execute(f"CREATE DATABASE {name}")
        return self.url(name)

    def start(self) -> None:
        """Make the cluster if need be, and start it."""
        if not self._data.exists():
            _as_postgres(["initdb", "-D", str(self._data), "-A", "trust", "-U", "postgres", "-N"], self._directory)
        settings = {"listen_addresses": "127.0.0.1", "max_connections": "90", "fsync": self._fsync}
        options = f"-p {self.port} -k {self._directory} " + " ".join(f"-c {k}={v}" for k, v in settings.items())
        command = ["pg_ctl", "-D", str(self._data), "-w", "-l", str(self._directory / "log"), "-o", options, "start"]
        _as_postgres(command, self._directory)

    def schema(self) -> str:
        """A new, empty schema in one shared database, which is much quicker than a database; its URL."""
        self._number += 1
        name = f"plan{self._number}"
        with psycopg.connect(self.url(), autocommit=True) as connection:
            for extension in ("btree_gist", "pg_trgm"):
                connection.execute(f"CREATE EXTENSION IF NOT EXISTS {extension} SCHEMA public")
            connection.execute(f"CREATE SCHEMA {name}")
        return f"{self.url()}?options=-csearch_path%3D{name},public"

    def stop(self, mode: str = "fast") -> None:
        """Stop it; `immediate` as by a power cut."""
        _as_postgres(["pg_ctl", "-D", str(self._data), "-w", "-m", mode, "stop"], self._directory)


def _as_postgres(command: list[str], directory: Path) -> None:
    """The server refuses to run as root."""
    where = binaries()
    assert where is not None
    user: dict[str, Any] = {}
    if os.geteuid() == 0:
        entry = pwd.getpwnam("postgres")
        user = {"user": entry.pw_uid, "group": entry.pw_gid, "extra_groups": []}
    done = subprocess.run(
        [str(where / command[0]), *command[1:]], cwd=directory, stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL, stderr=subprocess.PIPE if command[0] == "initdb" else subprocess.DEVNULL,
        text=True, check=False, **user,
    )  # fmt: skip
    assert done.returncode == 0, (command, done.stderr)


def _free_port() -> int:
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        return int(listening.getsockname()[1])


@contextlib.contextmanager
def cluster(fsync: str = "off") -> Iterator[Cluster]:
    """A server of one's own."""
    directory = Path(tempfile.mkdtemp(prefix="unipam-pg-"))
    directory.chmod(0o755)
    if os.geteuid() == 0:
        shutil.chown(directory, "postgres", "postgres")
    made = Cluster(directory, fsync)
    made.start()
    try:
        yield made
    finally:
        made.stop("immediate")
        shutil.rmtree(directory)


_open: contextlib.ExitStack = contextlib.ExitStack()


@lru_cache(maxsize=1)
def shared() -> Cluster:
    """The server that tests share: started when first needed, gone when the tests are. Skips where there is none."""
    if binaries() is None:
        pytest.skip("needs the Debian package postgresql")
    atexit.register(_open.close)
    return _open.enter_context(cluster())
