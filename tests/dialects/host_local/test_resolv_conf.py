"""The resolver configuration (spec cni-and-host-local §2.9; cases 12 to 14 of §3.2), from real files."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from unipam.dialects.host_local import resolv_conf
from unipam.model.errors import BadConfig


@pytest.mark.parametrize(
    ("text", "dns"),
    [
        ("", {}),
        ("nameserver 192.0.2.0\n\t nameserver 192.0.2.1\n", {"nameservers": ["192.0.2.0", "192.0.2.1"]}),
        ("nameserver 192.0.2.0\n;nameserver 192.0.2.1\n  # nameserver 3\n", {"nameservers": ["192.0.2.0"]}),
        (
            "domain example.com\nsearch net\nsearch org gov\noptions one two\noptions three\nnameserver 1.2.3.4 5\n",
            {
                "nameservers": ["1.2.3.4"], "domain": "example.com", "search": ["net", "org", "gov"],
                "options": ["one", "two", "three"],
            },
        ),
        ("domain one\ndomain two\n", {"domain": "two"}),
        ("nameserver\nsearch\ndomain \nsortlist 10.0.0.0\nnameservers 1.1.1.1\n", {}),
        ("nameserver nonsense\r\n", {"nameservers": ["nonsense"]}),
        ("nameserver 1.1.1.1", {"nameservers": ["1.1.1.1"]}),
    ],
)  # fmt: skip
def test_lines_and_their_meaning(tmp_path: Path, text: str, dns: dict[str, object]) -> None:
    (tmp_path / "resolv.conf").write_text(text)
    assert resolv_conf.read(str(tmp_path / "resolv.conf"), "/") == dns
    assert resolv_conf.read("resolv.conf", str(tmp_path)) == dns  # relative to where the caller runs


@given(st.text())
def test_any_text_has_a_meaning(text: str) -> None:
    found = resolv_conf.parse(text)
    assert set(found) <= {"nameservers", "domain", "search", "options"}
    assert all(found.values())


def test_bytes_that_are_no_text_do_no_harm(tmp_path: Path) -> None:
    (tmp_path / "f").write_bytes(b"\xff\xfe\x00\nnameserver 1.1.1.1\n")
    assert resolv_conf.read("f", str(tmp_path)) == {"nameservers": ["1.1.1.1"]}


def test_what_cannot_be_read_is_named(tmp_path: Path) -> None:
    missing, folder = tmp_path / "missing", tmp_path / "folder"
    folder.mkdir()
    with pytest.raises(BadConfig, match=f"^open {missing}: no such file or directory$"):
        resolv_conf.read(str(missing), "/")
    with pytest.raises(BadConfig, match=f"^read {folder}: is a directory$"):
        resolv_conf.read(str(folder), "/")
    with pytest.raises(BadConfig, match=r"^open a\x00b: invalid argument$"):
        resolv_conf.read("a\0b", "/")


def test_a_pipe_is_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    assert resolv_conf.read("pipe", str(tmp_path)) == {}


def test_a_file_too_large_to_be_one_is_refused(tmp_path: Path) -> None:
    with (tmp_path / "large").open("wb") as file:
        file.truncate(resolv_conf.LARGEST + 1)
    with pytest.raises(BadConfig, match="more than 1048576 bytes"):
        resolv_conf.read("large", str(tmp_path))
