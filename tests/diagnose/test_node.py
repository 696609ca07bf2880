"""A node read where it is, below another root, and from afar."""

from __future__ import annotations

import os
import pty
import subprocess
import sys
from pathlib import Path

import pytest
from tests.diagnose import nights

from unipam.diagnose import diagnose, journal_command, node_paths
from unipam.diagnose.node import NODE_PLACES

UNIPAM = Path(sys.executable).with_name("unipam")
LINE = "2025/03/05 18:16:10 [1] [ipam] Address request completed with address:10.0.0.5/16\n"


def put(root: Path, name: str, text: str = LINE) -> Path:
    path = root / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return path


def below(root: Path) -> set[str]:
    return {path.relative_to(root).as_posix() for path in node_paths(str(root))}


def test_a_link_that_begins_at_the_root_is_followed_below_the_root(tmp_path: Path) -> None:
    put(tmp_path, "run/azure-vnet-ipam.json", "{}")
    (tmp_path / "var").mkdir()
    (tmp_path / "var/run").symlink_to("/run")
    assert below(tmp_path) == {"run/azure-vnet-ipam.json"}


def test_of_the_logs_of_pods_those_of_address_givers_are_read(tmp_path: Path) -> None:
    put(tmp_path, "var/log/pods/kube-system_azure-cns-x7k2p_0c2b/cns-container/0.log")
    put(tmp_path, "var/log/pods/calico-system_calico-node-abcde_0c2b/calico-node/3.log")
    put(tmp_path, "var/log/pods/shop_web-1_0c2b/web/0.log")
    put(tmp_path, "var/lib/docker/x.log")
    (tmp_path / "var/log/containers").mkdir()
    link = tmp_path / "var/log/containers/azure-cns-x7k2p_kube-system_cns-container-0c2b.log"
    link.symlink_to("/var/log/pods/kube-system_azure-cns-x7k2p_0c2b/cns-container/0.log")
    assert below(tmp_path) == {
        "var/log/pods/kube-system_azure-cns-x7k2p_0c2b/cns-container/0.log",
        "var/log/pods/calico-system_calico-node-abcde_0c2b/calico-node/3.log",
    }


def test_a_ledger_is_copied_with_its_log_and_read_as_one(tmp_path: Path) -> None:
    put(tmp_path, "var/lib/unipam/azure-vnet/unipam.db")
    put(tmp_path, "var/lib/unipam/azure-vnet/unipam.db-wal")
    assert below(tmp_path) == {"var/lib/unipam/azure-vnet/unipam.db"}
    assert {"/var/lib/unipam/*/unipam.db", "/var/lib/unipam/*/unipam.db-wal"} <= set(NODE_PLACES)


def test_the_journal_is_asked_where_it_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tools = tmp_path / "bin"
    put(tools, "journalctl", "#!/bin/sh\necho \"$@\" >&2\ncat <<'X'\n2025-03-01T18:20:18+0000 node-1 kubelet[7]: "
        'E0301 18:20:18.6 7 x.go:1] "Error syncing pod" err="failed to setup network for sandbox \\"a\\": plugin '
        'type=\\"bridge\\" failed (add): no IP ranges specified" pod="shop/web-1"\nX\n')  # fmt: skip
    (tools / "journalctl").chmod(0o755)
    monkeypatch.setenv("PATH", f"{tools}:{os.environ['PATH']}")
    assert journal_command(str(tmp_path)) is None
    (tmp_path / "var/log/journal").mkdir(parents=True)
    command = journal_command(str(tmp_path))
    assert command is not None
    assert f"{tmp_path}/var/log/journal" in command
    assert "kubelet" in command
    report = diagnose([], command=command)
    (found,) = report.findings
    assert (found.kind, found.entities["pods"], found.entities["nodes"]) == ("no-ranges", ["shop/web-1"], ["node-1"])
    assert report.sources[0].path.startswith("journalctl --no-pager")


def test_node_with_a_root_reads_there(tmp_path: Path) -> None:
    put(tmp_path, "var/log/azure-vnet-ipam.log")
    done = subprocess.run(
        [UNIPAM, "diagnose", "--node", "--root", tmp_path], capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stdout.splitlines()[0]) == (0, "Healthy. Nothing wrong in 1 line.")


def test_progress_is_shown_on_a_terminal_although_the_answer_goes_elsewhere(tmp_path: Path) -> None:
    path = put(tmp_path, "azure-vnet-ipam.log", LINE * 1000)
    terminal, its_end = pty.openpty()
    done = subprocess.run([UNIPAM, "diagnose", path], stdout=subprocess.PIPE, stderr=its_end, check=False)
    os.close(its_end)
    shown = os.read(terminal, 4096)
    os.close(terminal)
    assert b"azure-vnet-ipam.log: " in shown
    assert b"\x1b" not in done.stdout


KUBECTL = """#!{python}
# Stands for kubectl and the node behind it: answers as they would, and notes what it was asked.
import subprocess, sys
host, words = "{host}", sys.argv[1:]
open("{asked}", "a").write(" ".join(words) + "\\n")
if words[:3] == ["get", "node", "gone"]:
    sys.exit('Error from server (NotFound): nodes "gone" not found')
if words[0] == "apply":
    open("{asked}.manifest", "w").write(sys.stdin.read())
elif words[0] == "exec" and "crictl" in words:
    print(open(host + "/crictl.json").read())
elif words[0] == "exec" and "sh" in words:
    subprocess.run(["tar", "czhf", "-", "-C", host, "var"], check=True)
elif words[0] == "get":
    print("{{}}")
"""


def test_a_node_is_diagnosed_from_afar(tmp_path: Path) -> None:
    host, asked = tmp_path / "host", tmp_path / "asked"
    night = tmp_path / "night"
    night.mkdir()
    nights.leaks(night)
    for name in ("azure-vnet-ipam.log", "syslog"):
        put(host, f"var/log/{name}", (night / name).read_text())
    put(host, "var/run/azure-vnet-ipam.json", (night / "azure-vnet-ipam.json").read_text())
    live = ",".join(f'{{"id": "{nights.container(n + 1)}", "state": "SANDBOX_READY"}}' for n in range(18))
    put(host, "crictl.json", f'{{"items": [\n{live}\n]}}')
    tools = tmp_path / "bin"
    put(tools, "kubectl", KUBECTL.format(python=sys.executable, host=host, asked=asked)).chmod(0o755)
    environment = {**os.environ, "PATH": f"{tools}:{os.environ['PATH']}"}
    plugin = UNIPAM.with_name("kubectl-unipam")
    command = [plugin] if plugin.exists() else [UNIPAM]
    done = subprocess.run(
        [*command, "diagnose", "node/aks-np-1"], capture_output=True, text=True, env=environment, check=False
    )
    assert done.returncode == 1, done.stderr
    assert "12 of 30 addresses of pool 10.224.0.0/16 look leaked, so 12 pods were refused" in " ".join(
        done.stdout.split()
    )
    verbs = [line.split()[0] for line in asked.read_text().splitlines()]
    assert verbs[-1] == "delete"  # nothing is left behind
    assert '"hostNetwork": true' in Path(f"{asked}.manifest").read_text()
    gone = subprocess.run(
        [UNIPAM, "diagnose", "node/gone"], capture_output=True, text=True, env=environment, check=False
    )
    assert gone.returncode == 2
    assert (
        'cannot collect from node/gone: kubectl get node gone -o: Error from server (NotFound): nodes "gone" not found'
        in gone.stderr
    )
