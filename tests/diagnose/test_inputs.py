"""Files as they come: rotated, compressed, recoded, broken, absent."""

from __future__ import annotations

import gzip
import lzma
import os
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from unipam.diagnose import UnreadableInput, diagnose, diagnose_bytes
from unipam.diagnose.inputs import Chunks, expand
from unipam.diagnose.node import node_paths

LINE = b"2025/03/05 18:16:10 [1] [ipam] Address request completed with address:10.0.0.5/16\n"


def test_rotated_logs_are_read_oldest_first(tmp_path: Path) -> None:
    names = [
        "azure-vnet.log",
        "azure-vnet.log.1",
        "azure-vnet.log.2.gz",
        "azure-vnet.log.10",
        "azure-vnet-2026-11-24T06-42-51.000.log.gz",
    ]
    for name in names:
        (tmp_path / name).touch()
    assert [path.name for path in expand([str(tmp_path)])] == [names[4], names[3], names[2], names[1], names[0]]


def test_a_call_cut_by_rotation_is_whole(tmp_path: Path) -> None:
    stamp = b"2025/03/05 18:16:10 [1] "
    (tmp_path / "azure-vnet-ipam.log.1").write_bytes(
        stamp + b"Acquiring process lock\n" + stamp + b"Acquired process lock\n"
    )
    (tmp_path / "azure-vnet-ipam.log").write_bytes(LINE + stamp + b"Released process lock\n")
    report = diagnose([tmp_path])
    assert not report.notes
    (track,) = report.timeline
    assert track.events[0].lock_seconds == 0.0


@pytest.mark.parametrize("pack", [gzip.compress, lzma.compress, lambda data: data.decode().encode("utf-16")])
def test_compressed_and_recoded_logs_are_read(tmp_path: Path, pack: object) -> None:
    path = tmp_path / "log"
    path.write_bytes(pack(LINE))  # type: ignore[operator]
    assert [track.subject for track in diagnose([path]).timeline] == ["10.0.0.5"]


def test_a_cut_archive_is_read_as_far_as_it_goes(tmp_path: Path) -> None:
    path = tmp_path / "log.gz"
    path.write_bytes(gzip.compress(LINE * 50_000)[:-20])
    (source,) = diagnose([path]).sources
    assert source.lines > 0
    assert source.problem.startswith("reading stopped: ")


def test_a_missing_path_is_named() -> None:
    with pytest.raises(UnreadableInput, match=r"/no/such/place: no such file or directory"):
        diagnose(["/no/such/place"])


def test_what_need_never_end_is_refused(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "fifo")
    (tmp_path / "zero").symlink_to("/dev/zero")
    (tmp_path / "log").write_bytes(LINE)
    for path, kind in ((tmp_path / "fifo", "a FIFO"), (tmp_path / "zero", "a device"), (Path("/dev/zero"), "a device")):
        with pytest.raises(UnreadableInput, match=f"{path}: is {kind}, which need never end: name a file"):
            expand([str(path)])
    assert expand([str(tmp_path)]) == [tmp_path / "log"], "met in a directory, it is left out"


def test_a_pipe_without_a_name_is_read_to_its_end() -> None:
    """The shell's `<(...)`."""
    reading, writing = os.pipe()
    os.write(writing, LINE)
    os.close(writing)
    try:
        assert [track.subject for track in diagnose([f"/dev/fd/{reading}"]).timeline] == ["10.0.0.5"]
    finally:
        os.close(reading)


def test_a_fifo_in_a_usual_place_is_left_out(tmp_path: Path) -> None:
    (tmp_path / "var" / "log").mkdir(parents=True)
    os.mkfifo(tmp_path / "var" / "log" / "syslog")
    (tmp_path / "var" / "log" / "messages").touch()
    assert node_paths(str(tmp_path)) == [tmp_path / "var" / "log" / "messages"]


def test_junk_is_reported_with_its_position_and_skipped() -> None:
    report = diagnose_bytes(LINE + b"\x00\x01\xff\xfe" + LINE + b"\xc3\x28" + LINE)
    (source,) = report.sources
    assert [(junk.offset, junk.line, junk.length) for junk in source.junk] == [
        (len(LINE), 2, 4),
        (2 * len(LINE) + 4, 3, 1),
    ]
    assert source.junk_total == 5
    assert [note.kind for note in report.notes][:1] == ["binary-junk"]
    assert [track.subject for track in report.timeline] == ["10.0.0.5"]


def test_what_is_no_text_is_not_called_healthy() -> None:
    report = diagnose_bytes(b"PK\x03\x04" + bytes(range(256)) * 20)
    assert report.outcome == "not understood"
    assert report.verdict == "Not understood. Nothing here speaks of addresses."


def test_colours_of_a_terminal_are_no_junk() -> None:
    (source,) = diagnose_bytes(b"\x1b[31m" + LINE.rstrip() + b"\x1b[0m\n").sources
    assert source.junk_total == 0
    assert source.formats == {"azure text log": 1}


@pytest.mark.parametrize(
    ("content", "kind"),
    [(b"", "state-empty"), (b"\0" * 512, "state-empty"), (b'{"IPAM": {"Version": "v1', "state-corrupt")],
)
def test_a_broken_state_file_is_a_finding(tmp_path: Path, content: bytes, kind: str) -> None:
    path = tmp_path / "azure-vnet-ipam.json"
    path.write_bytes(content)
    assert [found.kind for found in diagnose([path]).findings] == [kind]


def test_an_empty_log_shows_nothing(tmp_path: Path) -> None:
    path = tmp_path / "azure-vnet-ipam.log"
    path.touch()
    report = diagnose([path])
    assert (report.outcome, report.sources[0].lines) == ("not understood", 0)


@given(st.binary(max_size=4000))
def test_any_bytes_are_read_without_an_error(data: bytes) -> None:
    report = diagnose_bytes(data)
    (source,) = report.sources
    assert sum(source.formats.values()) + source.other + source.blank + source.unknown == source.lines


@given(st.lists(st.binary(max_size=30), max_size=20), st.integers(1, 40))
def test_chunks_give_every_byte_and_end_at_a_line(pieces: list[bytes], size: int) -> None:
    data = b"\n".join(pieces)
    position = 0

    class Slow:
        def read(self, _: int) -> bytes:
            nonlocal position
            position += size
            return data[position - size : position]

    chunks = list(Chunks(Slow()))
    assert b"".join(chunks) == data
    assert all(chunk.endswith(b"\n") for chunk in chunks[:-1])


PEAK = """
import re, sys
from unipam.diagnose import diagnose
diagnose([sys.argv[1]])
print(re.search(r"VmHWM:\\s+(\\d+) kB", open("/proc/self/status").read())[1])
"""


@pytest.mark.parametrize("line", [b'{"msg":"' + b"x" * 40_000_000, b'level=info sandbox pod "a_b" ' * 400_000])
def test_a_line_without_an_end_takes_little_memory(tmp_path: Path, line: bytes) -> None:
    (tmp_path / "one.log").write_bytes(line)
    command = [sys.executable, "-c", PEAK, str(tmp_path / "one.log")]
    kilobytes = int(subprocess.run(command, capture_output=True, text=True, check=True).stdout)
    assert kilobytes < 64 * 1024


def test_the_places_of_a_node(tmp_path: Path) -> None:
    for name in (
        "etc/cni/net.d/10-azure.conflist",
        "var/log/azure-vnet.log.1",
        "var/run/azure-vnet.json",
        "var/log/other.log",
    ):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    found = {path.relative_to(tmp_path).as_posix() for path in node_paths(str(tmp_path))}
    assert found == {"etc/cni/net.d/10-azure.conflist", "var/log/azure-vnet.log.1", "var/run/azure-vnet.json"}
