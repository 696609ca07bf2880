"""A full pool, warm and cold: what is surely gone makes room; who is refused is told what fills it, and it is kept."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from tests.conftest import UNIPAM, Agent, Plugin, host_local, items

from unipam.ledger.open import Ledgers

ADDRESSES = ("10.1.2.2/29", "10.1.2.3/29", "10.1.2.4/29", "10.1.2.5/29", "10.1.2.6/29")
POD = "IgnoreUnknown=1;K8S_POD_NAMESPACE=shop;K8S_POD_NAME={0}"

Serving = Callable[[], Plugin]


@pytest.fixture(params=["warm", "cold"])
def serving(
    request: pytest.FixtureRequest,
    cold: Plugin,
    start_agent: Callable[..., Agent],
    installed: Callable[[Path], Plugin],
) -> Serving:
    """Starts serving, with an agent of the test's own or without any."""
    return lambda: cold if request.param == "cold" else installed(start_agent().socket)


@pytest.fixture
def config(tmp_path: Path) -> dict[str, Any]:
    """A network of five addresses."""
    return host_local(tmp_path / "networks", "1.0.0", [{"subnet": "10.1.2.0/29"}])


@pytest.fixture
def live(tmp_path: Path) -> str:
    """What passes for a network namespace that is there."""
    (tmp_path / "netns").touch()
    return str(tmp_path / "netns")


def fill(plugin: Plugin, config: dict[str, Any], netns: str) -> None:
    for number, address in enumerate(ADDRESSES):
        assert plugin("ADD", config, f"old{number}", netns=netns).addresses == [address]


def journal(config: dict[str, Any], what: str) -> list[tuple[str, str, str]]:
    rows = items(unipam("lease", "history", what, *place(config), "-o", "json"))
    return [(row["verb"], row["container"], row["reason"]) for row in rows]


def unipam(*words: str) -> str:
    return subprocess.run([UNIPAM, *words], capture_output=True, text=True, check=False).stdout


def place(config: dict[str, Any]) -> tuple[str, str]:
    return "--data-dir", config["ipam"]["dataDir"]


def reboot(config: dict[str, Any]) -> None:
    """What the ledger knows was written during another boot of this machine."""
    ledger = Ledgers().at(config["ipam"]["dataDir"])
    with ledger.store.transaction() as tx:
        tx.set_note("boot", f"{ledger.boot} another boot of this machine")


def test_a_pool_full_of_an_earlier_boot_serves_at_once(
    serving: Serving, cold: Plugin, config: dict[str, Any], live: str
) -> None:
    fill(cold, config, live)
    reboot(config)
    plugin = serving()
    assert plugin("ADD", config, "new", netns=live).addresses == ["10.1.2.2/29"]
    assert plugin("ADD", config, "new2", netns=live).addresses == ["10.1.2.3/29"]
    assert journal(config, "old4")[0] == ("release", "old4", "the machine was rebooted since; the pool was full")


def test_a_pool_full_of_what_has_no_namespace_any_more_serves(
    serving: Serving, config: dict[str, Any], live: str, tmp_path: Path
) -> None:
    plugin = serving()
    fill(plugin, config, live)
    assert plugin("ADD", config, "new", netns=live).error["msg"].startswith("failed to allocate for range 0: no IP")
    Path(live).unlink()
    assert plugin("ADD", config, "new", netns="/else/where").addresses == ["10.1.2.2/29"]
    reason = f"its network namespace {live} is gone; the pool was full"
    assert journal(config, "old4")[0] == ("release", "old4", reason)


def test_a_directory_of_host_locals_full_of_an_earlier_boot_serves(
    serving: Serving, config: dict[str, Any], tmp_path: Path, live: str
) -> None:
    directory = tmp_path / "networks" / "mynet"
    directory.mkdir(parents=True)
    for number, address in enumerate(ADDRESSES):
        file = directory / address.partition("/")[0]
        file.write_text(f"old{number}\r\neth0")
        os.utime(file, (1.0, 1.0))
    assert serving()("ADD", config, "new", netns=live).addresses == ["10.1.2.2/29"]


def test_a_refusal_is_told_and_kept(serving: Serving, config: dict[str, Any], live: str) -> None:
    plugin = serving()
    fill(plugin, config, live)
    plugin("DEL", config, "old0")
    assert plugin("ADD", config, "doubtful", netns="/never/seen").code == 0
    for container in ("waits1", "waits2"):
        error = plugin("ADD", config, container, netns=live, args=POD.format("web")).error
        assert error["code"] == 999
        assert (
            error["msg"] == "failed to allocate for range 0: no IP addresses available in range set: 10.1.2.1-10.1.2.6"
        )
        where = config["ipam"]["dataDir"]
        assert error["details"] == f"5 of 5 held, 1 in doubt: unipam explain mynet --data-dir {where}"
    (refused,) = journal(config, "shop/web")
    assert refused[:2] == ("refuse", "waits1"), "the second within a minute is not another"
    assert "5 of 5 held, 1 in doubt" in refused[2]
    told = unipam("explain", "shop/web", *place(config))
    assert "waits1/eth0 (pod shop/web) waits for an address of mynet, and was refused last at " in told
    assert "shop/web" in unipam("explain", "mynet", *place(config))
    status = unipam("status", *place(config))
    assert (
        "mynet pool 0: 5 used, 0 free, 0 cooling of 6; next -; FULL, refused within the last minute: shop/web" in status
    )
    plugin("DEL", config, "old1")
    assert plugin("ADD", config, "waits3", netns=live, args=POD.format("web")).code == 0
    assert "is held by waits3/eth0 (pod shop/web)" in unipam("explain", "shop/web", *place(config))
    assert "FULL" in unipam("status", *place(config)), "the pool is full again"
