"""unipam side by side with the real azure-vnet-ipam, answer by answer, and each on the other's state.

`UNIPAM_AZURE_VNET_IPAM` names the original's executable, which must be of version 1.4.59.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.dialects.azure_vnet.azure import PLUGIN, AzureNode, azure_node, document
from tests.real.azure_original import brought, conf, original
from tests.real.node import UNIPAM

pytestmark = brought

SUBNET = "10.224.0.0/16"
CAPTURED = Path(__file__).parents[1] / "dialects" / "azure_vnet" / "captured"
TWO_NICS = (CAPTURED / "wireserver_two_nics.xml").read_text()
TWO_FAMILIES = document(
    (
        "02:fc:00:00:00:01",
        True,
        {SUBNET: [f"10.224.0.{n}" for n in range(4, 8)], "fd00:1::/64": ["fd00:1::4", "fd00:1::5"]},
    )
)


@pytest.fixture
def node(tmp_path: Path) -> Iterator[AzureNode]:
    with azure_node(tmp_path, f"unipam-orig-{os.getpid()}") as made, made.wireserver():
        (tmp_path / "run").mkdir()
        (tmp_path / "log").mkdir()
        yield made


def same(answer: tuple[int, str]) -> tuple[int, str]:
    """An answer but for the address, which is anybody's."""
    return answer[0], re.sub(r"10\.224\.0\.[567]/", "10.224.0.x/", answer[1])


V6 = {"type": "azure-vnet-ipamv6"}
CALLS: list[tuple[str, str, dict[str, Any]]] = [
    ("ADD", "a", {}),
    ("ADD", "a", {"subnet": SUBNET}),
    ("ADD", "b", {"subnet": SUBNET}),
    ("ADD", "b", {"subnet": SUBNET}),
    ("ADD", "b", {"subnet": SUBNET, "ipAddress": "10.224.0.99"}),
    ("ADD", "c", {"subnet": SUBNET, "ipAddress": "10.224.0.5/16"}),
    ("ADD", "c", {"subnet": "10.224.0.4/16"}),
    ("ADD", "c", {"subnet": "10.99.0.0/16"}),
    ("ADD", "c", {"addressSpace": "global"}),
    ("ADD", "c", {"addressSpace": "global", "subnet": SUBNET}),
    ("ADD", "c", {"queryInterval": 10}),
    ("ADD", "c", {"queryInterval": "ten", "subnet": SUBNET}),
    ("ADD", "d", V6),
    ("ADD", "e", V6),
    ("ADD", "d", {**V6, "subnet": "fd00:1::/64"}),
    ("ADD", "d", {"subnet": "fd00:1::/64"}),
    ("ADD", "f", {}),
    ("ADD", "f", {}),
    ("ADD", "g", {"subnet": SUBNET}),
    ("ADD", "g", {"subnet": SUBNET}),
    ("DEL", "a", {}),
    ("DEL", "a", {"subnet": "10.99.0.0/16"}),
    ("DEL", "a", {"subnet": SUBNET, "ipAddress": "10.224.0.5/16"}),
    ("DEL", "a", {"subnet": SUBNET, "ipAddress": "10.224.0.1"}),
    ("DEL", "a", {"subnet": SUBNET, "addressSpace": "global"}),
    ("DEL", "nobody", {"subnet": SUBNET}),
    ("DEL", "b", {"subnet": SUBNET}),
    ("DEL", "b", {"subnet": SUBNET}),
    ("ADD", "h", {"subnet": SUBNET}),
    ("ADD", "i", {"type": "internal", "subnet": SUBNET}),
    ("CHECK", "a", {}),
    ("GET", "a", {}),
    ("ADD", "", {}),
]


@pytest.mark.parametrize("answer", [TWO_NICS, TWO_FAMILIES], ids=["two interfaces", "two families"])
def test_the_same_answers(node: AzureNode, answer: str) -> None:
    node.answer(answer)
    for verb, container, ipam in CALLS:
        theirs = original(node, verb, container, conf(**ipam))
        ours = node.call(verb, container, node.conf(strict=True, **ipam))
        assert same((ours.code, ours.stdout.decode())) == same(theirs), (verb, container, ipam)


@pytest.mark.parametrize("version", ["", "0.1.0", "0.2.0", "0.4.0"])
def test_the_same_answers_in_every_version(node: AzureNode, version: str) -> None:
    for verb in ("ADD", "CHECK", "DEL"):
        theirs = original(node, verb, "a", conf(version, subnet=SUBNET))
        ours = node.call(verb, "a", node.conf(version=version, strict=True, subnet=SUBNET))
        assert same((ours.code, ours.stdout.decode())) == same(theirs), verb


def address(printed: str) -> str:
    return str(json.loads(printed)["ips"][0]["address"])


def test_unipam_carries_on_from_the_original_and_the_original_from_unipam(node: AzureNode) -> None:
    state = node.root / "run" / "azure-vnet-ipam.json"
    first = address(original(node, "ADD", "a", conf(subnet=SUBNET))[1])

    def ours(verb: str, container: str, **more: Any) -> str:
        answer = node.call(verb, container, subnet=SUBNET, stateFile=str(state), **more)
        assert answer.code == 0, answer
        return address(answer.stdout.decode()) if verb == "ADD" else ""

    assert ours("ADD", "a") == first, "taken over at first contact"
    second = ours("ADD", "b", writeState=True)
    for container, expected in (("a", first), ("b", second)):
        assert address(original(node, "ADD", container, conf(subnet=SUBNET))[1]) == expected, "read while unipam runs"
    third = ours("ADD", "c")
    done = subprocess.run(
        [UNIPAM, "adopt", PLUGIN, "--rollback", "--state-file", str(state), "--data-dir", str(node.data_dir)],
        capture_output=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    for container, expected in (("a", first), ("b", second), ("c", third)):
        assert address(original(node, "ADD", container, conf(subnet=SUBNET))[1]) == expected
    code, printed = original(node, "ADD", "d", conf(subnet=SUBNET))
    assert (code, json.loads(printed)["msg"]) == (1, "Failed to allocate address: No available addresses")
    assert original(node, "DEL", "b", conf(subnet=SUBNET)) == (0, "")
    assert address(original(node, "ADD", "d", conf(subnet=SUBNET))[1]) == second
