"""Which addresses are in use: those of a real namespace, as long as a process is in it."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator

import pytest

from unipam.addr.prefix import parse_address
from unipam.ledger.processes import addresses

THEIRS = {parse_address("192.0.2.77"), parse_address("2001:db8:77::7")}
NEVER = {parse_address("192.0.2.0"), parse_address("192.0.2.255"), parse_address("192.0.2.76")}
SCRIPT = """
ip link set lo up
ip address add 192.0.2.77/24 dev lo
ip address add 2001:db8:77::7/64 dev lo
echo; read forever
"""


@pytest.fixture
def elsewhere() -> Iterator[subprocess.Popen[bytes]]:
    """A process in a network namespace of its own, with two addresses."""
    if os.getuid() or not shutil.which("unshare") or not shutil.which("ip"):
        pytest.skip("a network namespace takes root, util-linux and iproute2")
    with subprocess.Popen(["unshare", "--net", "sh", "-ec", SCRIPT], stdin=-1, stdout=-1) as process:
        assert process.stdout
        assert process.stdout.readline() == b"\n"
        yield process
        process.kill()


def test_an_address_is_in_use_as_long_as_a_process_has_it(elsewhere: subprocess.Popen[bytes]) -> None:
    found = addresses()
    assert found >= THEIRS
    assert found.isdisjoint(NEVER), "neither the network, nor its broadcast address, nor a neighbour"
    assert parse_address("127.0.0.1") in found
    elsewhere.kill()
    elsewhere.wait()
    assert addresses().isdisjoint(THEIRS)
