"""Whatever the configuration says, azure-vnet-ipam answers in JSON, and a DEL succeeds."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from unipam.clients import wireserver
from unipam.clients.wireserver import WireserverInterface, WireserverSubnet
from unipam.cni.call import Call
from unipam.cni.context import Context
from unipam.dialects.azure_vnet import config
from unipam.dialects.registry import answer
from unipam.ledger.open import Ledgers

FOUND = (
    WireserverInterface(
        "*",
        True,
        (WireserverSubnet("10.0.0.0/24", (("10.0.0.5", False),)), WireserverSubnet("fd00::/64", (("fd00::5", False),))),
    ),
)
KEYS = (
    "type", "subnet", "Subnet", "environment", "addressSpace", "ipAddress", "queryInterval", "dataDir", "stateFile",
    "writeState", "log", "strict",
)  # fmt: skip
WORDS = ("10.0.0.0/24", "10.0.0.5", "fd00::/64", "azure-vnet-ipamv6", "null", "azure", "/x\0y", "\0", "../x", " ", "",
         "10", "\ud800")  # fmt: skip
values = st.sampled_from(WORDS) | st.booleans() | st.integers() | st.none() | st.just([]) | st.just({}) | st.text()
documents = st.fixed_dictionaries(
    {"name": st.just("azure"), "cniVersion": st.sampled_from(["0.2.0", "1.1.0"]),
     "ipam": st.dictionaries(st.sampled_from(KEYS), values, max_size=5) | values},
    optional={"master": values, "prevResult": values, "cni.dev/valid-attachments": values},
)  # fmt: skip


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Where ledgers go that are not told otherwise; the wireserver answers well."""
    root = tmp_path_factory.mktemp("ledgers")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(config, "data_dir", lambda plugin: str(root / plugin))
        patch.setattr(wireserver, "fetch", lambda *_: FOUND)
        yield root


def within(root: Path, document: dict[str, Any]) -> dict[str, Any]:
    """The same with its files below `root`, for they are really opened."""
    ipam = document["ipam"]
    if not isinstance(ipam, dict):
        return document
    moved = {
        k: f"{root}/{v.replace('..', '__')}"
        for k, v in ipam.items()
        if k in ("dataDir", "stateFile", "log") and isinstance(v, str)
    }
    return {**document, "ipam": {"stateFile": f"{root}/none", **ipam, **moved}}


@settings(max_examples=300)
@given(documents, st.sampled_from(["ADD", "DEL", "CHECK", "GC", "STATUS"]), st.sampled_from(config.NAMES))
def test_every_configuration_is_answered(place: Path, document: dict[str, Any], verb: str, plugin: str) -> None:
    env = {"CNI_COMMAND": verb, "CNI_CONTAINERID": "c", "CNI_NETNS": "/n", "CNI_IFNAME": "e", "CNI_PATH": "/p"}
    stdin = json.dumps(within(place, document)).encode()
    ledgers = Ledgers()
    given = answer(Call(plugin, env, stdin, str(place)), Context(ledgers))
    ledgers.close_all()
    strict = isinstance(document["ipam"], dict) and document["ipam"].get("strict") is True
    assert given.code == 0 or verb != "DEL" or strict
    if given.code:
        error = json.loads(given.stdout)
        assert error["msg"]
        assert "internal error" not in error["msg"]
    else:
        assert given.stdout == b"" or json.loads(given.stdout)["cniVersion"]
