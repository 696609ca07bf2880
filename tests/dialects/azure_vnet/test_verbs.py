"""azure-vnet-ipam as a node has it: the installed executable, a wireserver at its real address, an agent or none.

What the original answered to the same calls was captured (`captured`, beside this file).
"""

from __future__ import annotations

import itertools
import json
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import Any

import pytest
from tests.dialects.azure_vnet.azure import AzureNode, azure_node, document, finish, one_pool
from tests.real.node import Said, missing, wait_until

CAPTURED = Path(__file__).parent / "captured"
SUBNET = "10.224.0.0/16"
LONG = "600"
"""Seconds in which no test asks the source a second time by itself, however slow the machine."""
_WHY = "network namespaces need root" if os.getuid() else missing({"iproute2": "ip", "util-linux": "nsenter"})
pytestmark = pytest.mark.skipif(bool(_WHY), reason=_WHY)
_NUMBERS = itertools.count()


@pytest.fixture
def node(tmp_path: Path) -> Iterator[AzureNode]:
    with azure_node(tmp_path, f"unipam-az-{os.getpid()}-{next(_NUMBERS)}") as made:
        yield made


@contextmanager
def served(node: AzureNode, how: str, *options: str) -> Iterator[None]:
    """A wireserver, and an agent or none."""
    with node.wireserver(), node.agent(*options) if how == "agent" else nullcontext():
        yield


each_way = pytest.mark.parametrize("how", ["agent", "cold"])


def captured() -> dict[int, list[tuple[str, int]]]:
    """What the original printed and with which code, by the number of the scenario."""
    found: dict[int, list[tuple[str, int]]] = {}
    text = (CAPTURED / "stdout_v1459.txt").read_text()
    for part in re.split(r"^### ", text, flags=re.MULTILINE)[1:]:
        title, _, body = part.partition("\n")
        answers = re.findall(r"(.*?)\nexit=(\d+)\n", body, flags=re.DOTALL)
        found[int(title.split()[0])] = [(out.strip("\n"), int(code)) for out, code in answers]
    return found


def said(answer: Said) -> tuple[str, int]:
    return answer.stdout.decode(), answer.code


def unchosen(answer: tuple[str, int]) -> tuple[str, int]:
    """An answer but for the address, which the original takes at random too."""
    return re.sub(r"10\.224\.0\.[567]/", "10.224.0.x/", answer[0]), answer[1]


@each_way
def test_every_captured_scenario(node: AzureNode, how: str) -> None:
    """The scenarios of the capture, with `strict`, because some of them show what the original does wrong."""
    then = captured()
    xml = (CAPTURED / "wireserver_two_nics.xml").read_bytes()

    def call(verb: str, pod: str, **ipam: Any) -> tuple[str, int]:
        return said(node.call(verb, pod, strict=True, queryInterval="1", **ipam))

    node.answer(xml)
    with served(node, how):
        assert call("ADD", "pod-a") == then[1][0]
        second = call("ADD", "pod-b", subnet=SUBNET)
        assert unchosen(second) == unchosen(then[2][0])
        assert call("ADD", "pod-b", subnet=SUBNET) == second, "3: the same address again"
        fourth = [call("ADD", f"pod-{letter}", subnet=SUBNET) for letter in "cde"]
        assert list(map(unchosen, fourth)) == list(map(unchosen, then[4]))
        assert [call("ADD", "pod-f"), call("ADD", "pod-f")] == then[5]
        mine = next(address for address, pod in node.held().items() if pod == "pod-b")
        assert call("DEL", "pod-b", subnet=SUBNET, ipAddress=mine) == then[6][0]
        assert mine not in node.held()
        assert call("DEL", "pod-b", subnet=SUBNET) == then[7][0]
        assert call("DEL", "pod-c") == then[8][0]
        node.answer(b"oops", status=500)
        assert unchosen(call("ADD", "pod-g", subnet=SUBNET)) == unchosen(then[9][0])
        node.answer(b"<Interfaces></Interfaces>")
        assert call("ADD", "pod-h", subnet=SUBNET) == then[10][0]
        assert sorted(node.held()) == ["10.224.0.5", "10.224.0.6", "10.224.0.7", "10.225.0.5"]


@each_way
def test_a_corrupt_state_is_an_answer_in_json_and_keeps_no_container_from_ending(node: AzureNode, how: str) -> None:
    """Scenario 11: the original's words, but in an error object, and the file left for mending."""
    node.state_file.write_bytes((CAPTURED / "state_v1459.json").read_bytes()[:500])
    with served(node, how):
        failed = node.call("ADD", "pod-a")
        assert (failed.code, failed.document["code"]) == (1, 100)
        assert failed.document["msg"] == "Failed to start IPAM plugin, err:unexpected end of JSON input."
        assert str(node.state_file) in failed.document["details"]
        assert said(node.call("DEL", "pod-a", subnet=SUBNET)) == ("", 0)
        assert len(node.state_file.read_bytes()) == 500
        node.state_file.unlink()
        assert node.call("ADD", "pod-a").code == 0


@each_way
def test_thirty_at_once_on_twenty_eight(node: AzureNode, how: str) -> None:
    node.answer(one_pool(28))
    conf = node.conf(subnet=SUBNET, queryInterval=LONG)
    with served(node, how):
        answers = [finish(each) for each in [node.start("ADD", f"pod-{n}", conf) for n in range(30)]]
        given = [address for each in answers if each.code == 0 for address in each.addresses]
        refused = [each.document for each in answers if each.code]
        assert (len(given), len(set(given))) == (28, 28)
        assert refused == [{"code": 100, "msg": "Failed to allocate address: No available addresses"}] * 2
        assert sorted(node.held()) == sorted(given)
        assert node.calls == 1
        gone = [finish(each) for each in [node.start("DEL", f"pod-{n}", conf) for n in range(30)]]
        assert {said(each) for each in gone} == {("", 0)}
        assert node.held() == {}


def test_by_default_pools_are_shared_and_a_del_needs_no_subnet(node: AzureNode) -> None:
    node.answer((CAPTURED / "wireserver_two_nics.xml").read_bytes())
    with served(node, "agent"):
        first = node.call("ADD", "pod-a")
        assert first.addresses == ["10.225.0.5"], "the secondary interface is preferred"
        others = [node.call("ADD", f"pod-{n}").addresses[0] for n in range(3)]
        assert sorted(others) == ["10.224.0.5", "10.224.0.6", "10.224.0.7"]
        assert node.call("ADD", "pod-a").addresses == first.addresses
        assert node.call("ADD", "pod-x").document["msg"] == "Failed to allocate address: No available addresses"
        assert said(node.call("DEL", "pod-a")) == ("", 0)
        assert node.call("ADD", "pod-x").addresses == first.addresses


def test_identity_is_the_container_alone(node: AzureNode) -> None:
    with served(node, "agent"):
        first = node.call("ADD", "pod-a", interface="eth0").addresses
        assert node.call("ADD", "pod-a", interface="eth1").addresses == first
        assert node.call("DEL", "pod-a", interface="eth7", subnet=SUBNET).code == 0
        assert node.held() == {}


def error(answer: Said) -> tuple[int, str]:
    return answer.document["code"], answer.document["msg"]


def test_the_originals_errors(node: AzureNode) -> None:
    node.answer(one_pool(3))
    with served(node, "agent"):
        add = node.call("ADD", "pod-a", subnet=SUBNET, ipAddress="10.224.0.6")
        assert add.addresses == ["10.224.0.6"]
        assert node.call("ADD", "pod-a", subnet=SUBNET, ipAddress="10.224.0.6").addresses == ["10.224.0.6"]
        cases: list[tuple[dict[str, Any], str]] = [
            ({"subnet": SUBNET, "ipAddress": "10.224.0.6"}, "Failed to allocate address: Address already in use"),
            ({"subnet": SUBNET, "ipAddress": "10.224.0.99"}, "Failed to allocate address: Address not found"),
            ({"subnet": SUBNET, "ipAddress": "10.224.0.5/16"}, "Failed to allocate address: Address not found"),
            (
                {"subnet": "10.99.0.0/16"},
                "Failed to allocate address: Pool id 10.99.0.0/16 not found :Invalid address pool",
            ),
            (
                {"subnet": "10.224.0.4/16"},
                "Failed to allocate address: Pool id 10.224.0.4/16 not found :Invalid address pool",
            ),
            ({"addressSpace": "global"}, "Failed to allocate pool: Invalid address space"),
            ({"type": "azure-vnet-ipamv6"}, "Failed to allocate pool: no available address pools"),
            ({"environment": "gcp"}, "Failed to parse network configuration: Invalid configuration"),
        ]
        for ipam, message in cases:
            assert error(node.call("ADD", "pod-b", **ipam)) == (100, message)
        other = node.call("ADD", "pod-b", node.conf(master="eth9"))
        assert error(other) == (100, "Failed to allocate pool: no available address pools")
        assert node.held() == {"10.224.0.6": "pod-a"}


def test_the_protocols_errors_and_verbs(node: AzureNode) -> None:
    with served(node, "agent"):
        nameless = node.call("ADD", "pod-a", b'{"cniVersion":"0.3.0","ipam":{}}')
        assert nameless.document == {"code": 7, "msg": "missing network name"}
        assert error(node.call("GET", "pod-a"))[1] == "unknown CNI_COMMAND: GET"
        assert error(node.call("CHECK", "pod-a")) == (1, "config version does not allow CHECK")
        strange = node.call("ADD", "pod-a", node.conf(version="9.9.9"))
        assert error(strange) == (1, "incompatible CNI versions")
        assert node.call("VERSION", "pod-a").document["supportedVersions"][:6] == [
            "0.1.0", "0.2.0", "0.3.0", "0.3.1", "0.4.0", "1.0.0",
        ]  # fmt: skip


GATEWAY = "10.224.0.1"
ROUTES = [{"dst": "0.0.0.0/0", "gw": GATEWAY}]
DNS = {"nameservers": ["168.63.129.16"]}


@pytest.mark.parametrize(
    ("version", "expected"),
    [
        ("0.1.0", {"cniVersion": "0.1.0", "ip4": {"ip": "A/16", "gateway": GATEWAY, "routes": ROUTES}, "dns": DNS}),
        ("", {"cniVersion": "0.2.0", "ip4": {"ip": "A/16", "gateway": GATEWAY, "routes": ROUTES}, "dns": DNS}),
        (
            "1.0.0",
            {"cniVersion": "1.0.0", "ips": [{"address": "A/16", "gateway": GATEWAY}], "routes": ROUTES, "dns": DNS},
        ),
    ],
)
def test_the_result_of_each_version(node: AzureNode, version: str, expected: dict[str, Any]) -> None:
    node.answer(one_pool(1))
    with served(node, "cold"):
        assert node.call("ADD", "pod-a", node.conf(version=version)).document == json.loads(
            json.dumps(expected).replace("A/", "10.224.0.5/")
        )


@pytest.mark.parametrize(("strict", "route"), [(False, "::/0"), (True, "0.0.0.0/0")])
def test_an_ipv6_pool(node: AzureNode, strict: bool, route: str) -> None:
    node.answer(document(("02:fc:00:00:00:01", True, {"fd00:1::/64": ["fd00:1::4", "fd00:1::5"]})))
    with served(node, "agent"):
        answer = node.call("ADD", "pod-a", type="azure-vnet-ipamv6", strict=strict).document
    assert answer["ips"] == [{"version": "6", "address": "fd00:1::5/64", "gateway": "fd00:1::1"}]
    assert answer["routes"] == [{"dst": route, "gw": "fd00:1::1"}]
    assert answer["dns"] == DNS


def test_an_internal_call_prints_nothing(node: AzureNode) -> None:
    with served(node, "agent"):
        assert said(node.call("ADD", "pod-a", type="internal")) == ("", 0)
        assert list(node.held().values()) == ["pod-a"]


def test_what_a_del_lets_go_of(node: AzureNode) -> None:
    with served(node, "agent"):
        for pod in ("pod-a", "pod-b"):
            node.call("ADD", pod, subnet=SUBNET)
        mine = next(a for a, pod in node.held().items() if pod == "pod-a")
        nothing: list[dict[str, Any]] = [
            {"subnet": SUBNET, "ipAddress": next(a for a, pod in node.held().items() if pod == "pod-b")},
            {"subnet": SUBNET, "ipAddress": "10.224.0.1"},
            {"subnet": SUBNET, "ipAddress": "no address"},
            {"subnet": "10.99.0.0/16"},
            {"subnet": "10.99.0.0/16", "ipAddress": mine},
            {"subnet": "10.99.0.0/16", "ipAddress": f"{mine}/16"},
        ]
        for ipam in nothing:
            assert said(node.call("DEL", "pod-a", **ipam)) == ("", 0)
            assert len(node.held()) == 2, ipam
        assert said(node.call("DEL", "pod-a", subnet=SUBNET, ipAddress=f"{mine}/16", queryInterval=10)) == ("", 0)
        assert list(node.held().values()) == ["pod-b"]


def test_without_any_state_a_del_succeeds_and_makes_none(node: AzureNode) -> None:
    with served(node, "cold"):
        assert said(node.call("DEL", "pod-a", subnet=SUBNET)) == ("", 0)
        assert (node.data_dir.exists(), node.calls) == (False, 0)


BAD = {
    "an error": (b"oops", 500),
    "a page": (b"<html><body>Sign in</body></html>", 200),
    "half a document": (one_pool(3).encode()[:200], 200),
    "nothing at all": (b"", 200),
    "no interfaces": (b"<Interfaces></Interfaces>", 200),
    "too many addresses": (one_pool(70_000).encode(), 200),
    "another family": (document(("02:fc:00:00:00:01", True, {"fd00::/64": ["fd00::4", "fd00::5"]})).encode(), 200),
}


@pytest.mark.parametrize("bad", BAD)
def test_a_bad_answer_leaves_the_pool_as_it_was(node: AzureNode, bad: str) -> None:
    with served(node, "cold"):
        node.call("ADD", "pod-a", subnet=SUBNET, queryInterval="1")
        node.answer(BAD[bad][0], status=BAD[bad][1])
        rewind(node)
        assert node.call("ADD", "pod-b", subnet=SUBNET).code == 0
        assert node.calls == 2, "it was asked, and the answer was of no use"
        assert node.call("ADD", "pod-c", subnet=SUBNET).code == 0


def rewind(node: AzureNode) -> None:
    """The source was asked long ago."""
    import sqlite3

    with sqlite3.connect(node.data_dir / "unipam.db") as ledger:
        ledger.execute("UPDATE note SET value = json_set(value, '$.at', -1e6) WHERE key LIKE 'refresh/%'")
    ledger.close()


@pytest.mark.parametrize(("body", "status"), [(b"oops", 500), (b"<html></html>", 200)])
@each_way
def test_without_a_known_pool_the_error_names_the_cause(node: AzureNode, how: str, body: bytes, status: int) -> None:
    node.answer(body, status=status)
    with served(node, how):
        for _ in range(3):
            failed = node.call("ADD", "pod-a", queryInterval=LONG).document
            assert (failed["code"], failed["msg"]) == (100, "Failed to allocate pool: Invalid address space")
            assert "the wireserver at 168.63.129.16 gave no address list" in failed["details"]
        failed = node.call("ADD", "pod-a", subnet=SUBNET, queryInterval=LONG).document
        assert failed["msg"] == "Failed to allocate address: Invalid address space"
        assert node.calls == 1


def test_nobody_at_the_wireservers_address(node: AzureNode) -> None:
    failed = node.call("ADD", "pod-a").document
    assert failed["details"] == "the wireserver at 168.63.129.16 gave no address list: connection refused"


@pytest.mark.parametrize("files", [False, True], ids=["ledger only", "state file and log too"])
def test_an_agent_serves_at_once_while_a_slow_wireserver_is_asked(node: AzureNode, files: bool) -> None:
    """The refresh hangs for its three seconds; the calls come and go meanwhile."""
    more = {"writeState": True, "log": str(node.log)} if files else {}
    with served(node, "agent"):
        node.call("ADD", "pod-a", subnet=SUBNET, queryInterval="1", **more)
        node.answer(one_pool(3), delay=30)
        asked = node.calls
        wait_until(lambda: node.calls > asked)
        assert node.call("ADD", "pod-b", subnet=SUBNET, queryInterval="1", **more).code == 0
        assert node.call("DEL", "pod-b", subnet=SUBNET, queryInterval="1", **more).code == 0
        assert "source failed" not in (node.root / "agent.log").read_text(), "the refresh was still under way"


def test_the_agent_learns_new_addresses_without_a_call(node: AzureNode) -> None:
    node.answer(one_pool(1))
    with served(node, "agent"):
        assert node.call("ADD", "pod-a", subnet=SUBNET, queryInterval="1").code == 0
        node.answer(one_pool(2))
        wait_until(lambda: '"10.224.0.0/16":2' in (node.root / "agent.log").read_text())
        assert node.call("ADD", "pod-b", subnet=SUBNET, queryInterval="1").code == 0


def test_an_agent_that_was_started_anew_keeps_the_pools_fresh(node: AzureNode) -> None:
    with node.wireserver():
        with node.agent():
            node.call("ADD", "pod-a", subnet=SUBNET, queryInterval="1")
        rewind(node)
        asked = node.calls
        with node.agent("--data-dir", str(node.data_dir)):
            wait_until(lambda: node.calls > asked)


def test_an_exhausted_pool_is_asked_for_once_and_served_when_it_grew(node: AzureNode) -> None:
    node.answer(one_pool(1))
    with served(node, "cold"):
        node.call("ADD", "pod-a", subnet=SUBNET, queryInterval=LONG)
        node.answer(one_pool(2))
        assert node.call("ADD", "pod-b", subnet=SUBNET, queryInterval=LONG).code == 1, "it was asked a moment ago"
        rewind(node)
        assert node.call("ADD", "pod-b", subnet=SUBNET, queryInterval=LONG).addresses == ["10.224.0.6"]
        assert node.calls == 2


def test_an_address_that_vanished_while_held_is_deleted_on_release(node: AzureNode) -> None:
    node.answer(one_pool(2))
    with served(node, "cold"):
        for pod in ("pod-a", "pod-b"):
            node.call("ADD", pod, subnet=SUBNET)
        node.answer(one_pool(1))
        rewind(node)
        assert node.call("ADD", "pod-a", subnet=SUBNET).code == 0
        assert len(node.held()) == 2
        gone = node.held()["10.224.0.6"]
        assert node.call("ADD", gone, subnet=SUBNET).addresses == ["10.224.0.6"], "its holder keeps it"
        node.call("DEL", gone, subnet=SUBNET)
        assert node.call("ADD", "pod-c", subnet=SUBNET).code == 1


def test_the_originals_state_is_taken_over_at_first_contact(node: AzureNode) -> None:
    state = (CAPTURED / "state_v1459.json").read_bytes()
    node.state_file.write_bytes(state)
    pod = "3e23e8160039594a33894f6564e1b1348bbd7a0088d42c4acb73eeaed59c009d"
    node.answer(b"oops", status=500)
    with served(node, "agent"):
        assert node.call("ADD", pod, subnet=SUBNET).addresses == ["10.224.0.5"], "it holds that already"
        assert node.call("ADD", "new", subnet=SUBNET).code == 1
        assert node.call("DEL", pod, subnet=SUBNET, ipAddress="10.224.0.5").code == 0
        assert node.call("ADD", "new", subnet=SUBNET).addresses == ["10.224.0.5"]
    assert node.state_file.read_bytes() == state


def test_the_state_file_is_written_where_that_is_wanted(node: AzureNode) -> None:
    node.answer((CAPTURED / "wireserver_two_nics.xml").read_bytes())
    with served(node, "agent"):
        for pod in ("pod-a", "pod-b"):
            node.call("ADD", pod, subnet=SUBNET, writeState=True)
        node.call("DEL", "pod-a", subnet=SUBNET, writeState=True)
        text = node.state_file.read_text()
        pools = json.loads(text)["IPAM"]["AddressSpaces"]["local"]["Pools"]
        records = pools[SUBNET]["Addresses"].values()
        assert sorted((r["ID"], r["InUse"]) for r in records) == [("", False), ("", False), ("pod-b", True)]
        then = json.loads((CAPTURED / "state_v1459.json").read_text())["IPAM"]["AddressSpaces"]["local"]["Pools"]
        assert [list(pool) for pool in pools.values()] == [list(pool) for pool in then.values()]
        assert text.startswith('{\n\t"IPAM": {\n\t\t"Version": "unipam-')


def test_an_add_whose_state_cannot_be_written_fails_and_leaves_nothing(node: AzureNode) -> None:
    nowhere = str(node.root / "no" / "state.json")
    with served(node, "agent"):
        node.call("ADD", "pod-a", subnet=SUBNET)
        failed = node.call("ADD", "pod-b", subnet=SUBNET, writeState=True, stateFile=nowhere)
        assert error(failed) == (100, f"cannot write the state file {nowhere}: no such file or directory")
        assert list(node.held().values()) == ["pod-a"]
        gone = node.call("DEL", "pod-a", subnet=SUBNET, writeState=True, stateFile=nowhere)
        assert (said(gone), node.held()) == (("", 0), {})


def test_check_gc_and_status(node: AzureNode) -> None:
    node.answer(one_pool(3))
    newest = node.conf(version="1.1.0", subnet=SUBNET)
    with served(node, "agent"):
        assert said(node.call("STATUS", "x", newest)) == ("", 0)
        result = node.call("ADD", "pod-a", newest).document
        node.call("ADD", "pod-b", newest)
        other = json.loads(newest) | {"name": "another"}
        node.call("ADD", "pod-c", json.dumps(other).encode())
        check = json.dumps(json.loads(newest) | {"prevResult": result}).encode()
        assert said(node.call("CHECK", "pod-a", check)) == ("", 0)
        assert node.call("CHECK", "pod-z", check).code == 1
        valid = [{"containerID": "pod-a", "ifname": "eth0"}]
        gc = json.dumps(json.loads(newest) | {"cni.dev/valid-attachments": valid}).encode()
        assert said(node.call("GC", "", gc)) == ("", 0)
        assert sorted(node.held().values()) == ["pod-a", "pod-c"], "another network's lease is not ours to judge"


def test_status_without_a_pool_names_the_cause(node: AzureNode) -> None:
    node.answer(b"", status=503)
    with served(node, "agent"):
        failed = node.call("STATUS", "x", node.conf(version="1.1.0")).document
    assert failed["code"] == 50
    assert "http error 503" in failed["details"]
