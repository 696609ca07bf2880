"""The log in the original's format, held against the captured one: the same lines in the same order.

The scenarios of the capture are played again on a ledger in memory of this process, with an answer that comes from no
network. Numbers, times, pointers and versions differ; nothing else may.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from unipam.clients import wireserver
from unipam.clients.wireserver import WireserverInterface, WireserverSubnet
from unipam.cni.call import Call
from unipam.cni.context import Context
from unipam.dialects.azure_vnet import nics, printing
from unipam.dialects.registry import answer
from unipam.ledger import refresh
from unipam.ledger.open import Ledgers
from unipam.model.errors import SourceFailed

CAPTURED = Path(__file__).parent / "captured" / "log_v1459_azure-vnet-ipam.log"
SUBNET = "10.224.0.0/16"
PODS = {
    "a": "ca978112ca1bbdcafac231b39a23dc4da786eff8147c4e72b9807785afee48bb",
    "b": "3e23e8160039594a33894f6564e1b1348bbd7a0088d42c4acb73eeaed59c009d",
    "c": "2e7d2c03a9507ae265ecf5b5356885a53393a2029d241394997265a1a25aefc6",
    "d": "18ac3e7343f016890c510e93f935261169d9e3f565436429830faf0934f4f8e4",
    "e": "3f79bb7b435b05321651daefd374cdc681dc06faa65e374e38337b88ca046dea",
    "f": "252f10c83610ebca1a059c0bae8255eba2f95be4d1d7bcfa89d7248a82d9f111",
    "g": "cd0aa9856147b6c5b4ff2b7dfee5da20aa38253099ef1b4a64aced233c9afe29",
    "h": "aaa9402664f1a41f40ebbc52c9993eb66aeb366602958fdfaa283b71e64db123",
}
TWO_NICS = (
    WireserverInterface(
        "02FC00000001", True, (WireserverSubnet(SUBNET, tuple((f"10.224.0.{n}", n == 4) for n in range(4, 8))),)
    ),
    WireserverInterface(
        "7264E7E445DF", False, (WireserverSubnet("10.225.0.0/24", (("10.225.0.4", True), ("10.225.0.5", False))),)
    ),
)


class Player:
    """Plays calls one after the other; the source is asked each time, as the original does."""

    def __init__(self, root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.root = root
        self.log = root / "azure-vnet-ipam.log"
        self.wish = {"log": str(self.log)}
        self.ledgers = Ledgers()
        self.pid = 100
        self.clock = 0.0
        self.found: tuple[WireserverInterface, ...] | None = TWO_NICS
        monkeypatch.setattr(wireserver, "fetch", self.fetch)
        monkeypatch.setattr(nics, "local", lambda: (("eth0", "02fc00000001"), ("ifb0", "7264e7e445df")))
        monkeypatch.setattr(refresh, "uptime", lambda: self.clock)

    def fetch(self, *_: object) -> tuple[WireserverInterface, ...]:
        if self.found is None:
            raise SourceFailed("wireserver http error 500 Internal Server Error")
        return self.found

    def play(self, verb: str, pod: str, **ipam: Any) -> int:
        self.pid += 1
        self.clock += 100.0
        mine = {"dataDir": str(self.root), "stateFile": str(self.root / "none"), **self.wish, "strict": True}
        document = {
            "cniVersion": "0.3.0", "name": "azure", "type": "azure-vnet", "mode": "transparent",
            "ipsToRouteViaHost": ["169.254.20.10"], "ipam": {"type": "azure-vnet-ipam", **ipam, **mine},
            "dns": {}, "runtimeConfig": {"dns": {}}, "windowsSettings": {},
        }  # fmt: skip
        env = {
            "CNI_COMMAND": verb, "CNI_CONTAINERID": PODS[pod], "CNI_NETNS": f"/var/run/netns/cni-pod-{pod}",
            "CNI_IFNAME": "eth0", "CNI_PATH": "/opt/cni/bin",
            "CNI_ARGS": f"IgnoreUnknown=1;K8S_POD_NAMESPACE=default;K8S_POD_NAME=pod-{pod}"
            f";K8S_POD_INFRA_CONTAINER_ID={PODS[pod]}",
        }  # fmt: skip
        call = Call("azure-vnet-ipam", env, msgspec.json.encode(document), str(self.root), self.pid)
        return answer(call, Context(self.ledgers)).code

    def sessions(self) -> list[list[str]]:
        return sessions(self.log.read_text())


@pytest.fixture
def player(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Player]:
    made = Player(tmp_path, monkeypatch)
    yield made
    made.ledgers.close_all()


LINE = re.compile(r"\d{4}/\d\d/\d\d \d\d:\d\d:\d\d \[(\d+)\] (.*)")


def sessions(text: str) -> list[list[str]]:
    """The messages of each process, in the order in which the processes came."""
    found: dict[str, list[str]] = {}
    for line in text.splitlines():
        match = LINE.fullmatch(line)
        assert match, line
        found.setdefault(match[1], []).append(shape(match[2]))
    return list(found.values())


SHAPES = (
    (r"Running on .*", "Running on X"),
    (r"version \S+\.$", "version V."),
    (r"Version:\S+ TimeStamp:\d{4}-\d\d-\d\d \d\d:\d\d:\d\d(\.\d+)? [+-]\d{4} \S+", "Version:V TimeStamp:T"),
    (r"0x[0-9a-f]+", "0xP"),
    (r"timeout: \d+", "timeout: N"),
    (r"\"(dataDir|stateFile|log)\":\"[^\"]*\",?|\"strict\":true,?", ""),
    (r",}", "}"),
    (r"10\.224\.0\.[567]\b", "10.224.0.X"),
    (r"epoch:\d+", "epoch:N"),
    (r"&{Status:500 .*TLS:<nil>}", "500 Internal Server Error"),
)


def shape(message: str) -> str:
    for pattern, word in SHAPES:
        message = re.sub(pattern, word, message)
    return message


def unordered(lines: list[str]) -> list[str]:
    """Pools are gone through in any order by the original, and a map's members stand as they fall."""
    told = [
        re.sub(r"map\[[^]]*0xP[^]]*\]", lambda m: "map[" + " ".join(sorted(m[0][4:-1].split())) + "]", s) for s in lines
    ]
    pools = [s for s in told if re.match(r"\[ipam\] (Checking pool|Pool \S+ (is in use|matches)|Skip releasing)", s)]
    return [s for s in told if s not in pools] + sorted(pools)


def without_refresh(lines: list[str]) -> list[str]:
    """A session whose call did not ask the source: a DEL of a pool that is known need not, here."""
    begin = lines.index("[ipam] Refreshing address source.") + 1
    end = lines.index("[ipam] Save succeeded.") + 1
    return lines[:begin] + lines[end:]


# What happens there and cannot here: the state file is the ledger, and it is not corrupt.
LAST = 13


def test_every_session_of_the_capture(player: Player) -> None:
    play = player.play
    codes = [play("ADD", "a")]
    codes += [play("ADD", pod, subnet=SUBNET) for pod in "bbcde"]
    codes += [play("ADD", "f"), play("ADD", "f")]
    mine = re.findall(r"Allocated address (10\.224\.0\.\d)/16", player.log.read_text())[0]
    codes += [play("DEL", "b", subnet=SUBNET, ipAddress=mine), play("DEL", "b", subnet=SUBNET), play("DEL", "c")]
    player.found = None
    codes.append(play("ADD", "g", subnet=SUBNET))
    player.found = ()
    codes.append(play("ADD", "h", subnet=SUBNET))
    assert codes == [0, 0, 0, 0, 0, 1, 1, 1, 0, 0, 1, 0, 1]
    then = sessions(CAPTURED.read_text())[:LAST]
    for number, (ours, theirs) in enumerate(zip(player.sessions(), then, strict=True), 1):
        released = any(line.startswith("[ipam] Address release completed") for line in theirs)
        expected = without_refresh(theirs) if released else theirs
        expected = [line for line in expected if not line.startswith("[ipam] http return error code")]
        assert unordered(ours) == unordered(expected), number


def test_a_call_that_need_not_ask_says_nothing_of_the_wireserver(player: Player) -> None:
    player.play("ADD", "a", subnet=SUBNET)
    player.clock -= 99.0
    player.play("ADD", "b", subnet=SUBNET)
    second = player.sessions()[1]
    assert "[ipam] Refreshing address source." in second
    assert not any("ireserver" in line for line in second)


def test_lines_never_break(player: Player) -> None:
    player.play("DEL", "a", subnet="x\ny")
    assert all(LINE.fullmatch(line) for line in player.log.read_text().splitlines())


def test_an_error_of_the_first_minute(player: Player) -> None:
    player.found = None
    assert player.play("ADD", "a") == 1
    (session,) = player.sessions()
    assert "[azure-vnet-ipam] Failed to allocate pool: Invalid address space." in session
    assert not any("Requesting" in line for line in session)


def test_a_log_that_cannot_be_written_keeps_nobody_from_an_address(player: Player) -> None:
    player.wish = {"log": str(player.root / "no" / "such" / "directory.log")}
    assert player.play("ADD", "a") == 0


def test_no_log_without_a_wish(player: Player) -> None:
    player.wish = {}
    assert player.play("ADD", "a") == 0
    assert not player.log.exists()


@pytest.mark.parametrize(
    ("document", "part"),
    [
        ({"ipam": {"subnet": "10.0.0.0/8"}}, "Subnet:10.0.0.0/8 Address:"),
        ({"runtimeConfig": {"portMappings": [{"hostPort": 80, "protocol": "tcp"}]}},
         "PortMappings:[{HostPort:80 ContainerPort:0 Protocol:tcp HostIp:}]"),
        ({"multiTenancy": True}, "MultiTenancy:true"),
        ({"AdditionalArgs": [{"name": "n", "value": "v"}]}, "AdditionalArgs:[{Name:n Value:v}]"),
        ({"dns": 7, "ipam": None}, "IPAM:{Mode: Type: Environment:"),
        ({}, "&{CNIVersion:0.2.0 Name: Type:"),
    ],
)  # fmt: skip
def test_a_configuration_as_go_prints_it(document: dict[str, Any], part: str) -> None:
    assert part in printing.config(document)
