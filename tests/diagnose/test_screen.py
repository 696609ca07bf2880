"""The first screen: 24 lines of 80 letters that answer what, since when, and what to type."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from tests.diagnose import nights

from unipam.diagnose import diagnose
from unipam.diagnose.render.screen import Screen

UNIPAM = Path(sys.executable).with_name("unipam")
WORDS = {
    "leaks": (
        "12 of 30 addresses of pool 10.224.0.0/16 look leaked, so 12 pods were refused since 2025-03-01 03:00 "
        "(36 tries).",
        "kubectl cordon aks-np-1",
        "/var/run/azure-vnet-ipam.json",
        "# risk:",
        "10.224.0.23, 10.224.0.24",
        "Otherwise: Azure CNI.",
    ),
    "full": (
        "212 of 253 addresses of network kubenet look leaked, so 7 pods were refused since Mar 01 02:00 (40 tries).",
        "cd /var/lib/cni/networks/kubenet",
        "flock lock xargs -r rm",
        "# risk:",
        "10.244.3.43, 10.244.3.44",
    ),
    "down": (
        "Azure CNS does not run or is not ready on aks-np-1, so 9 pods were refused since Mar 01 01:00 (60 tries).",
        "kubectl -n kube-system logs -l k8s-app=azure-cns --previous",
        "Otherwise: Azure CNI Overlay",
    ),
}


@pytest.mark.parametrize("night", nights.NIGHTS)
def test_the_first_screen_is_the_answer(tmp_path: Path, night: str) -> None:
    nights.NIGHTS[night](tmp_path)
    done = subprocess.run([UNIPAM, "diagnose", tmp_path], capture_output=True, text=True, check=False)
    lines = done.stdout.splitlines()
    assert (done.returncode, lines[0]) == (1, "1 fault.")
    assert len(lines) <= 24
    assert all(len(line) <= 80 for line in lines if not line.startswith("      "))  # a command is never cut
    text = " ".join(done.stdout.split())
    for words in WORDS[night]:
        assert words in text
    assert nights.container(1000) not in text  # ids are shortened


def test_everything_is_behind_verbose(tmp_path: Path) -> None:
    nights.leaks(tmp_path)
    brief, whole = (
        subprocess.run([UNIPAM, "diagnose", *flags, tmp_path], capture_output=True, text=True, check=False).stdout
        for flags in ((), ("--verbose",))
    )
    for words in ("Timeline by address", "Sources", "meaning:"):
        assert words in whole
        assert words not in brief


def test_the_lists_are_whole_and_in_order_in_the_json(tmp_path: Path) -> None:
    nights.full(tmp_path)
    (found,) = diagnose([tmp_path]).findings
    assert found.entities["addresses"] == [f"10.244.3.{2 + n}" for n in range(41, 253)]
    assert [effect.kind for effect in found.consequences] == ["range-exhausted"]


def test_the_remedy_for_host_local_removes_what_is_leaked_and_no_more(tmp_path: Path) -> None:
    nights.full(tmp_path)
    (found,) = diagnose([tmp_path]).findings
    network, tools = tmp_path / "networks/kubenet", tmp_path / "bin"
    tools.mkdir()
    for name, body in (("kubectl", ":"), ("crictl", f"cat {tmp_path}/crictl-pods-q.txt")):
        (tools / name).write_text(f"#!/bin/sh\n{body}\n")
        (tools / name).chmod(0o755)
    script = (
        "\n".join(found.commands)
        .replace("/tmp/", f"{tmp_path}/")
        .replace("/var/lib/cni/networks/kubenet", str(network))
    )
    subprocess.run(["sh", "-e", "-c", script], env={"PATH": f"{tools}:/usr/bin:/bin"}, check=True, capture_output=True)
    assert {path.name for path in network.iterdir()} == {"lock", *(f"10.244.3.{2 + n}" for n in range(41))}


@pytest.mark.parametrize(
    ("text", "verdict"),
    [
        ("", "Not understood. Nothing here speaks of addresses."),
        ("hello world\n", "Not understood. Nothing here speaks of addresses."),
        (
            'Failed to create pod sandbox: rpc error: failed to setup network for sandbox "a": plugin type="x" '
            "failed (add): no\n",
            "Not understood. Something failed, and unipam does not know the cause.",
        ),
        ("2025/03/05 18:16:10 [1] [ipam] Save succeeded.\n", "Healthy. Nothing wrong in 1 line."),
        (
            "2025/03/05 18:16:10 [1] [ipam] Save succeeded.\n" + "2025/03/05 18:16:10 [1] [ipam] What is this?\n" * 3,
            "Not understood. 3 of 4 log lines say what unipam does not know.",
        ),
    ],
)
def test_the_verdict_knows_what_it_does_not_know(tmp_path: Path, text: str, verdict: str) -> None:
    (tmp_path / "log").write_text(text)
    report = diagnose([tmp_path / "log"])
    assert next(Screen(colour=False).lines(report)) == verdict


def test_no_excerpt_takes_more_than_a_screen(shared: Path) -> None:
    for half in ("field", "field2", "azure-vnet-ipam"):
        for path in (shared / "fixtures" / half).iterdir():
            if not path.name.endswith(".meta.json"):
                assert len(list(Screen(colour=False).lines(diagnose([path])))) <= 24, path.name
