"""What a process did to its files, and what it said to whom meanwhile: its own system calls, in order, by strace.

strace stops a process on entering a call and on leaving it, and takes the time both times. So of two calls, also of two
processes with a log each, one happened after the other if it began when that one had ended.
"""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterable, Iterator
from pathlib import Path, PurePath
from typing import NamedTuple

from tests.faults.disk import Directory, Disk, File
from tests.real.node import wait_until

_CALLS = (
    "pwrite64,pwritev,write,writev,fsync,fdatasync,ftruncate,fallocate,openat,mknod,mknodat,mkdir,mkdirat,rename,renameat,"
    "renameat2,link,linkat,unlink,unlinkat,read,recvfrom,sendto,sendmsg"
)
_OPTIONS = ("-f", "-q", "-y", "-xx", "-s", "65536", "-e", "signal=KILL", "--seccomp-bpf", "--syscall-times=ns")
_CLOCK = "--absolute-timestamps=format:unix,precision:ns"

_LINE = re.compile(r"(\d+) +([\d.]+) (<\.\.\. )?(\w+)(?:\(| resumed>)(.*)")
_RESULT = re.compile(r"(.*)\) += (-?\d+|\?)(.*?)(?: <([\d.]+)>)?")
_UNFINISHED = " <unfinished ...>"
_TEXT = re.compile(r'"((?:\\x[0-9a-f]{2})*)"')
_PLACE = re.compile(r"<((?:\\x[0-9a-f]{2})+)>")


def recording(log: Path, *, apart: bool = False) -> list[str]:
    """The command before the command to record; `apart` if the process is to be the caller's own child."""
    strace = shutil.which("strace")
    assert strace
    return [strace, *_OPTIONS, _CLOCK, *(["-D"] if apart else []), "-e", f"trace={_CALLS}", "-o", str(log), "--"]


class Event(NamedTuple):
    """A system call that succeeded. Times are nanoseconds since the epoch.

    `place` is the path that it was about, or the name of a socket; `data` is what was written or read.
    """

    begun: int
    done: int
    call: str
    place: str
    data: bytes = b""
    number: int = 0
    """The offset of a write, the size of a truncate, the end of what is allocated."""

    @property
    def since(self) -> int:
        """From when on the world may show it: a change from its beginning, a promise kept from its end."""
        return self.done if self.call in {"sync", "heard"} else self.begun


def events(log: Path, root: Path) -> list[Event]:
    """What a log tells about the files below `root` and about sockets."""
    wanted = [_hex(text) for text in (str(root), "socket:[")]
    lines = (line for line in log.read_text().splitlines() if "resumed>" in line or any(w in line for w in wanted))
    found = (_event(*call) for call in _whole(lines))
    talk = {"heard", "told"}
    return [event for event in found if event and (event.call in talk or PurePath(event.place).is_relative_to(root))]


def _hex(text: str) -> str:
    return "".join(f"\\x{byte:02x}" for byte in text.encode())


def _whole(lines: Iterable[str]) -> Iterator[tuple[str, int, int, str, str, str]]:
    """Name, begin, end, arguments, result, and what the result stands for, of each call."""
    pending: dict[str, tuple[int, str]] = {}
    for line in lines:
        match = _LINE.fullmatch(line)
        if not match:
            continue  # a process has ended
        thread, time, resumed, name, rest = match.groups()
        begun, before = pending.pop(thread, (0, "")) if resumed else (int(time.replace(".", "")), "")
        if rest.endswith(_UNFINISHED):
            pending[thread] = begun, rest.removesuffix(_UNFINISHED)
        elif begun:  # the beginning of this one was wanted
            result = _RESULT.fullmatch(before + rest)
            assert result, line
            arguments, value, stands_for, spent = result.groups()
            yield name, begun, begun + int((spent or "0").replace(".", "")), arguments, value, stands_for


_TALK = {"read": "heard", "recvfrom": "heard", "write": "told", "writev": "told", "sendto": "told", "sendmsg": "told"}
_NAMING = {
    "mknod": "make file", "mknodat": "make file", "mkdir": "make directory", "mkdirat": "make directory",
    "unlink": "remove", "unlinkat": "remove",
}  # fmt: skip


def _event(name: str, begun: int, done: int, arguments: str, value: str, stands_for: str) -> Event | None:
    if value.startswith("-"):
        return None
    places, texts = _bytes(_PLACE, arguments + stands_for), _bytes(_TEXT, arguments)
    if places and places[0].startswith(b"socket:["):
        return Event(begun, done, _TALK[name], places[0].decode(), b"".join(texts))
    if name in _NAMING:
        return Event(begun, done, _NAMING[name], texts[0].decode())
    if name == "openat":
        return Event(begun, done, "make file", places[-1].decode()) if "O_CREAT" in arguments else None
    return None if name == "read" else _about_file(name, begun, done, places[0].decode(), arguments, texts)


def _about_file(name: str, begun: int, done: int, place: str, arguments: str, texts: list[bytes]) -> Event:
    match name:
        case "pwrite64":
            return Event(begun, done, "write", place, texts[0], int(arguments.rpartition(", ")[2]))
        case "ftruncate":
            return Event(begun, done, "truncate", place, number=int(arguments.rpartition(", ")[2]))
        case "fallocate":
            _, mode, first, size = arguments.rsplit(", ", 3)
            assert mode == "0", f"no disk knows fallocate's mode {mode}"
            return Event(begun, done, "allocate", place, number=int(first) + int(size))
        case "fsync" | "fdatasync":
            return Event(begun, done, "sync", place)
    return Event(begun, done, name, place)


def _bytes(pattern: re.Pattern[str], text: str) -> list[bytes]:
    return [bytes.fromhex(found.replace("\\x", "")) for found in pattern.findall(text)]


class Conversation(NamedTuple):
    """One request and its answer over a socket: what was heard by when, and what was told from when on."""

    heard_at: int
    heard: bytes
    told_at: int
    told: bytes


def conversations(found: Iterable[Event]) -> list[Conversation]:
    """What was said over each socket, whose connection was for one question only."""
    talks: dict[str, Conversation] = {}
    for event in found:
        before = talks.get(event.place, Conversation(event.since, b"", 0, b""))
        if event.call == "heard" and not before.told:
            talks[event.place] = before._replace(heard_at=event.since, heard=before.heard + event.data)
        elif event.call == "told":
            talks[event.place] = before._replace(told_at=before.told_at or event.since, told=before.told + event.data)
    return list(talks.values())


def happen(disk: Disk, event: Event) -> None:
    """Let a disk see what happened; of sockets it sees nothing."""
    path = PurePath(event.place)
    match event.call:
        case "write":
            disk.file(path).write(event.done, event.number, event.data)
        case "truncate":
            disk.file(path).truncate(event.done, event.number)
        case "allocate":
            disk.file(path).allocate(event.done, event.number)
        case "sync":
            found = disk.find(path)
            assert found, path
            found.sync(event.begun)
        case "make file":
            disk.make(event.done, path, File())
        case "make directory":
            disk.make(event.done, path, Directory())
        case "remove":
            disk.remove(event.done, path)
        case "heard" | "told":
            pass
        case other:
            raise AssertionError(f"no disk knows what {other} does to {path}")


def await_end(log: Path) -> None:
    """Wait until the log of a process that ends says so."""
    wait_until(lambda: re.match(r"(\d+) (?s:.*)^\1 +[\d.]+ \+\+\+ ", log.read_text(), re.MULTILINE))
