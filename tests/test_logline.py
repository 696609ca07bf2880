"""Lines of every log: the same fields, as JSON for machines and as text for people."""

from __future__ import annotations

import json
import os
import pty
import re
import subprocess
import sys
from pathlib import Path

import pytest
from tests.conftest import UNIPAM
from tests.server.process import Process

from unipam.logline import as_json, as_text, encoder, entry, moment

WHEN = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z")


def test_fields_come_in_one_order() -> None:
    made = entry("call", "warning", verb="ADD", pod="shop/web-0")
    assert list(made) == ["time", "level", "event", "verb", "pod"]
    assert WHEN.fullmatch(str(made["time"]))
    assert json.loads(as_json(made)) == made


def test_moments_are_cut_to_the_millisecond() -> None:
    assert moment(0.9999) == "1970-01-01T00:00:00.999Z"
    assert moment(1795715438.5763166) == "2026-11-26T17:50:38.576Z"


@pytest.mark.parametrize(
    ("value", "shown"),
    [("shop/web-0", "shop/web-0"), ("two words", '"two words"'), ("", '""'), ('a"b', r'"a\"b"'), ("a\nb", r'"a\nb"'),
     (3, "3"), (None, "null"), ({"a": 1}, '{"a": 1}'), ("\x1b[31m", r'"\u001b[31m"')],
)  # fmt: skip
def test_text_is_one_line_whatever_is_in_it(value: object, shown: str) -> None:
    line = {"time": "T", "level": "info", "event": "said", "fact": value}
    assert as_text(line).decode() == f"T info    said fact={shown}"


def test_a_trace_stands_below_its_line() -> None:
    assert as_text({"event": "failed", "exception": "Traceback\n  why"}).splitlines()[1:] == [b"Traceback", b"  why"]


def test_what_is_no_utf8_is_written_all_the_same() -> None:
    line = {"event": "x", "path": os.fsdecode(b"/\xff")}
    assert json.loads(as_json(line))["path"]
    assert as_text(line)


@pytest.mark.parametrize(
    ("wanted", "terminal", "kind"),
    [("auto", True, as_text), ("auto", False, as_json), ("text", False, as_text), ("json", True, as_json)],
)
def test_auto_is_text_on_a_terminal(wanted: str, terminal: bool, kind: object) -> None:
    assert encoder(wanted, terminal=terminal) is kind


def on_a_terminal(*words: str) -> str:
    """The first line that a server logs when its standard error is a terminal."""
    leader, follower = pty.openpty()
    with subprocess.Popen([UNIPAM, *words], stdout=subprocess.DEVNULL, stderr=follower) as process:
        os.close(follower)
        try:
            with os.fdopen(leader, "rb") as stream:
                return stream.readline().decode()
        finally:
            process.terminate()


def test_the_agent_speaks_to_people_at_a_terminal(tmp_path: Path) -> None:
    line = on_a_terminal("agent", "--socket", str(tmp_path / "a.sock"), "--metrics", "", "--data-dir", str(tmp_path))
    assert WHEN.match(line)
    assert f" info    listening socket={tmp_path}/a.sock" in line
    as_wanted = on_a_terminal("agent", "--socket", str(tmp_path / "a.sock"), "--metrics", "", "--log-format", "json",
                              "--data-dir", str(tmp_path))  # fmt: skip
    assert list(json.loads(as_wanted))[:3] == ["time", "level", "event"]


def test_the_register_writes_the_same_lines(tmp_path: Path) -> None:
    register = Process(str(tmp_path / "r.db"), tmp_path)
    try:
        (first, *_) = register.said.splitlines()
    finally:
        register.end()
    line = json.loads(first)
    assert list(line)[:3] == ["time", "level", "event"]
    assert WHEN.fullmatch(line["time"])
    assert line["level"] == "info"


def test_logging_of_libraries_has_the_same_shape() -> None:
    code = (
        "import logging; from unipam.server import logs; logs.configure('json');"
        "logging.getLogger('a.b').warning('it %s', 'happened')"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    line = json.loads(done.stderr)
    assert (list(line)[:3], line["level"], line["event"]) == (["time", "level", "event"], "warning", "it happened")
