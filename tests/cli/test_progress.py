"""What commands say beside their answers: that work goes on, remarks, details; colours only where wanted."""

from __future__ import annotations

import os
import pty
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.conftest import UNIPAM
from tests.fakes.azure_http import Answer, LoopbackServer, Request
from tests.server.process import clean_environment


class Slow:
    """A register that answers nobody until it is told to."""

    def __init__(self) -> None:
        self.go = threading.Event()
        self._server = LoopbackServer(self._serve)
        self.env = clean_environment() | {
            "UNIPAM_SERVER": f"http://127.0.0.1:{self._server.port}", "UNIPAM_TOKEN": "x", "TERM": "xterm",
        }  # fmt: skip

    def _serve(self, _: Request) -> Answer:
        assert self.go.wait(60)
        return Answer(200, {"items": [], "next": None})

    def close(self) -> None:
        self.go.set()
        self._server.close()


@pytest.fixture
def slow() -> Iterator[Slow]:
    served = Slow()
    yield served
    served.close()


def read_until(leader: int, text: bytes) -> bytes:
    """What comes until this text; at the end of the terminal that is an error of the system."""
    said = b""
    while text not in said:
        said += os.read(leader, 4096)
    return said


def test_somebody_at_a_terminal_is_told_that_work_goes_on(slow: Slow) -> None:
    leader, follower = pty.openpty()
    with subprocess.Popen(
        [UNIPAM, "reservation", "list", "prod"], stdout=subprocess.PIPE, stderr=follower, env=slow.env
    ) as process:
        os.close(follower)
        told = read_until(leader, b" s")
        assert told.startswith(b"\r\x1b[KGET /api/v1/spaces/prod/reservations?limit=1000: ")
        slow.go.set()
        assert b"\r\x1b[Kno reservations" in read_until(leader, b"no reservations")
        assert process.wait(60) == 0
    os.close(leader)


def test_nobody_is_told_in_a_pipe(slow: Slow) -> None:
    with subprocess.Popen([UNIPAM, "reservation", "list", "prod"], stderr=subprocess.PIPE, env=slow.env) as process:
        with pytest.raises(subprocess.TimeoutExpired):
            process.wait(4)  # longer than anybody at a terminal has to wait
        slow.go.set()
        assert process.stderr
        assert process.stderr.read() == b"no reservations\n"


def said(*words: str, **env: str) -> str:
    done = subprocess.run([UNIPAM, *words], capture_output=True, text=True, env=clean_environment() | env, check=False)
    return done.stderr


def test_remarks_and_details_are_chosen(tmp_path: Path) -> None:
    database = {"UNIPAM_DATABASE": str(tmp_path / "register.db")}
    said("register", "init", **database)
    assert said("space", "list", **database) == "no spaces yet: unipam space add\n"
    assert said("--quiet", "space", "list", **database) == ""
    details = said("--verbose", "space", "list", **database).splitlines()
    assert details[0].startswith("GET /api/v1/spaces?utilisation=true&limit=1000: 200 in ")
    assert said("--quiet", "space", "show", "none", **database).startswith("Error: ")
    assert said("--verbose", "lease", "list", "--data-dir", str(tmp_path)).startswith(
        f"looking for a ledger at {tmp_path}/unipam.db\n"
    )


@pytest.mark.parametrize(("env", "coloured"), [({}, True), ({"NO_COLOR": "1"}, False)])
def test_colours_are_for_those_who_want_them(tmp_path: Path, env: dict[str, str], coloured: bool) -> None:
    log = tmp_path / "a.log"
    log.write_text("nothing of interest\n")
    leader, follower = pty.openpty()
    variables = clean_environment() | {"TERM": "xterm-256color"} | env
    with subprocess.Popen(
        [UNIPAM, "diagnose", str(log)], stdout=follower, stderr=subprocess.DEVNULL, env=variables
    ) as process:
        os.close(follower)
        shown = b""
        try:
            while part := os.read(leader, 4096):
                shown += part
        except OSError:  # the other end is closed
            pass
        process.wait(60)
    os.close(leader)
    assert (b"\x1b[" in shown) is coloured
