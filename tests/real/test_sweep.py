"""What containers leave behind is found and released by the agent alone; what lives, or may live, is left alone."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from tests.real.containerd import Containerd, kill
from tests.real.cri import Runtime
from tests.real.node import UNIPAM, Node, wait_until

from unipam.cli.agent import command as agent_command
from unipam.clients.cri import sandboxes
from unipam.ledger.reconcile import STARTING
from unipam.model.facts import read
from unipam.store.sqlite import SqliteStore

pytestmark = pytest.mark.real

SWEEP = ("--sweep", "0.1")
CONF = {"cniVersion": "1.0.0", "name": "hand"}
POD = "IgnoreUnknown=1;K8S_POD_NAMESPACE=test;K8S_POD_NAME=w;K8S_POD_INFRA_CONTAINER_ID={0};K8S_POD_UID=u"


def reasons(node: Node) -> dict[str, str]:
    """Why the sweep released what it did, by container."""
    return {entry.owner.holder: entry.reason for entry in node.journal() if entry.actor == "sweep"}


def add(node: Node, container: str, namespace: str, args: str = "") -> None:
    """One ADD for a namespace, as another runtime would do it."""
    conf = CONF | {"ipam": node.ipam("10.99.0.0/24")}
    assert node.call("ADD", conf, container, netns=f"/run/netns/{namespace}", args=args).code == 0


def grow_old(node: Node) -> None:
    """Every sandbox was begun so long ago that its start could take no longer."""
    ledger = SqliteStore(str(node.data_dir / "unipam.db"))
    with ledger.transaction() as tx:
        for claim in node.claims():
            facts = read(claim.details)
            if isinstance(asked := facts.get("sandbox"), float):
                older = json.dumps(facts | {"sandbox": asked - STARTING})
                tx.update(claim._replace(details=older))
    ledger.close()


def sweeps_again(node: Node, namespace: Callable[[], str]) -> None:
    """Wait until a lease that is surely gone was swept: twice looked at, everything else was as well."""
    doomed = namespace()
    add(node, f"c-{doomed}", doomed)
    subprocess.run(["ip", "netns", "del", doomed], check=True)
    wait_until(lambda: f"c-{doomed}" not in node.held().values())


def mounted_at(path: str) -> str:
    """What remains of a path when nobody tidies up: the mount goes, and the file with it."""
    subprocess.run(["umount", path], check=True)
    Path(path).unlink()
    return path


def test_sandboxes_that_die_with_their_namespaces(
    node: Node, containerd: Containerd, cri: Runtime, namespace: Callable[[], str]
) -> None:
    dead, alive = [cri.run("one"), cri.run("two")], namespace()
    add(node, "alive", alive)
    with node.agent(*SWEEP):
        containerd.process.kill()
        containerd.process.wait()
        for pid in containerd.remnants():
            kill(pid)
        gone = [mounted_at(path) for path in containerd.mounts() if "/netns/" in path]
        wait_until(lambda: set(node.held().values()) == {"alive"})
    assert set(reasons(node)) == set(dead)
    for reason in reasons(node).values():
        assert any(reason == f"its network namespace {path} is gone" for path in gone)


BLIND = ("unshare", "--mount", "sh", "-ec", 'mount -t tmpfs none /run/netns; exec "$@"', "sh")
"""Starts what sees the processes, but not where network namespaces are kept: a container that lacks a mount."""


def test_an_address_in_use_stays_though_no_namespace_shows(node: Node, namespace: Callable[[], str]) -> None:
    living, dead = namespace(), namespace()
    for name in (living, dead):
        add(node, name, name)
    address = {container: address for address, container in node.held().items()}[living]
    subprocess.run(["ip", "-n", living, "address", "add", address, "dev", "lo"], check=True)
    with subprocess.Popen(["nsenter", f"--net=/run/netns/{living}", "sleep", "1000"]) as process:
        try:
            with node.agent(*SWEEP, by=BLIND):
                wait_until(lambda: dead not in node.held().values())
                assert node.held() == {address: living}
                process.kill()
                process.wait()
                wait_until(lambda: node.held() == {})
        finally:
            process.kill()
    assert reasons(node)[dead] == f"its network namespace /run/netns/{dead} is gone"


def forget(containerd: Containerd) -> None:
    """A containerd that has ended will know nothing of its sandboxes."""
    for part in ("io.containerd.metadata.v1.bolt", "io.containerd.grpc.v1.cri", "io.containerd.runtime.v2.task"):
        shutil.rmtree(containerd.root / "root" / part)


def test_sandboxes_that_the_runtime_forgot(
    node: Node, containerd: Containerd, cri: Runtime, namespace: Callable[[], str]
) -> None:
    """However young they are: the runtime that might still be making them has ended."""
    forgotten = cri.run("forgotten")
    with node.agent(*SWEEP, "--cri", containerd.socket):
        containerd.stop()
        wait_until(lambda: node.log().count('"runtime not asked"') > 3)
        assert set(node.held().values()) == {forgotten}, "a runtime that does not answer proves nothing"

        forget(containerd)
        containerd.start()
        assert sandboxes(containerd.socket, 10) == []
        sweeps_again(node, namespace)
        assert set(node.held().values()) == {forgotten}, "it lives on"
        for pid in containerd.remnants():
            kill(pid)
        wait_until(lambda: node.held() == {})
    assert reasons(node)[forgotten] == "the container runtime knows no such sandbox"


def test_what_is_listed_stays(node: Node, containerd: Containerd, cri: Runtime, namespace: Callable[[], str]) -> None:
    running, crashed = cri.run("running"), cri.run("crashed")
    grow_old(node)
    pause = next(pid for pid in containerd.remnants() if crashed in Path(f"/proc/{pid}/cgroup").read_text())
    kill(pause)
    with node.agent(*SWEEP, "--cri", containerd.socket):
        sweeps_again(node, namespace)
        states = {sandbox.id: sandbox.ready for sandbox in sandboxes(containerd.socket, 10)}
        assert states == {running: True, crashed: False}
        assert set(node.held().values()) == {running, crashed}, "other containers of the pod may still run in it"
        cri.stop(crashed)
        cri.remove(crashed)
        sweeps_again(node, namespace)
        assert set(node.held().values()) == {running}


GATE = """#!/bin/sh
# A plugin at the chain's end that takes its time: it waits for a file, then answers with what the one before it did.
conf=$(cat)
[ "$CNI_COMMAND" = ADD ] || exit 0
until [ -e "{0}" ]; do sleep 0.05; done
echo "$conf" | "{1}" -c 'import json, sys; print(json.dumps(json.load(sys.stdin)["prevResult"]))'
"""


@pytest.fixture
def opened(node: Node, containerd: Containerd) -> Iterator[Path]:
    """Sandboxes are held up at the end of their network's making until this file exists."""
    path, gate = containerd.root / "opened", node.bin_dir / "gate"
    gate.write_text(GATE.format(path, sys.executable))
    gate.chmod(0o755)
    containerd.stop()
    containerd.configure({"type": "gate"})
    containerd.start()
    yield path
    path.touch()


def test_a_sandbox_still_being_made_stays(
    node: Node, containerd: Containerd, cri: Runtime, opened: Path, namespace: Callable[[], str]
) -> None:
    """The runtime lists a sandbox only when it is complete, which may take as long as a kubelet waits."""
    with node.agent(*SWEEP, "--cri", containerd.socket), ThreadPoolExecutor(1) as kubelet:
        try:
            begun = kubelet.submit(cri.run, "slow")
            wait_until(lambda: node.data_dir.exists() and len(node.held()) == 2)
            assert sandboxes(containerd.socket, 10) == []
            sweeps_again(node, namespace)
            held = node.held()
        finally:
            opened.touch()
        assert set(held.values()) == {begun.result()}


def test_a_sandbox_whose_making_died_with_the_runtime_is_the_runtimes_to_remove(
    node: Node, containerd: Containerd, cri: Runtime, opened: Path, namespace: Callable[[], str]
) -> None:
    with node.agent(*SWEEP, "--cri", containerd.socket), ThreadPoolExecutor(1) as kubelet:
        begun = kubelet.submit(cri.run, "doomed")
        wait_until(lambda: node.data_dir.exists() and len(node.held()) == 2)
        containerd.process.kill()
        containerd.process.wait()
        assert begun.exception() is not None
        opened.touch()
        containerd.start()
        grow_old(node)
        sweeps_again(node, namespace)
        (doomed,) = sandboxes(containerd.socket, 10)
        assert (doomed.name, doomed.ready) == ("doomed", False)
        assert set(node.held().values()) == {doomed.id}, "the runtime knows of it, and a kubelet will clean up"
        cri.stop(doomed.id)
        assert node.held() == {}


def test_what_a_runtime_that_was_killed_was_making_goes_and_what_the_next_one_makes_stays(
    node: Node, containerd: Containerd, cri: Runtime, opened: Path
) -> None:
    """When what it had noted of it is lost as well; else it lists it, and a kubelet cleans up (as above)."""
    with node.agent(*SWEEP, "--cri", containerd.socket), ThreadPoolExecutor(2) as kubelet:
        try:
            lost = kubelet.submit(cri.run, "lost")
            wait_until(lambda: node.data_dir.exists() and len(node.held()) == 2)
            (former,) = set(node.held().values())
            containerd.process.kill()
            containerd.process.wait()
            assert lost.exception() is not None
            forget(containerd)
            containerd.start()
            containerd.import_image()
            begun = kubelet.submit(cri.run, "begun")
            wait_until(lambda: len(set(node.held().values()) - {former}) == 1)
            wait_until(lambda: former not in node.held().values())
            (latter,) = set(node.held().values())
            assert sandboxes(containerd.socket, 10) == []
        finally:
            opened.touch()
        assert begun.result() == latter
        assert set(node.held().values()) == {latter}
    assert reasons(node) == {former: "the container runtime knows no such sandbox"}


@pytest.mark.parametrize("args", ["", "IgnoreUnknown=1;K8S_POD_NAME=web"], ids=["anybody", "podman"])
def test_another_runtimes_containers_stay(
    node: Node, containerd: Containerd, namespace: Callable[[], str], args: str
) -> None:
    with node.agent(*SWEEP, "--cri", containerd.socket):
        add(node, "stranger", namespace(), args)
        grow_old(node)
        sweeps_again(node, namespace)
        assert set(node.held().values()) == {"stranger"}, "containerd does not list it, and need not"


def test_a_pod_that_the_runtime_never_knew_goes(
    node: Node, containerd: Containerd, namespace: Callable[[], str]
) -> None:
    with node.agent(*SWEEP, "--cri", containerd.socket):
        add(node, "a" * 64, namespace(), POD.format("a" * 64))
        sweeps_again(node, namespace)
        assert set(node.held().values()) == {"a" * 64}, "it may be on its way"
        grow_old(node)
        wait_until(lambda: node.held() == {})
    assert reasons(node)["a" * 64] == "the container runtime knows no such sandbox"


def test_a_namespace_of_the_same_name_is_not_the_same(node: Node, namespace: Callable[[], str]) -> None:
    name, keeps_the_number = namespace(), namespace()
    add(node, "former", name)
    with node.agent(*SWEEP):
        subprocess.run(["mount", "--bind", f"/run/netns/{keeps_the_number}", f"/run/netns/{name}"], check=True)
        wait_until(lambda: node.held() == {})
    subprocess.run(["umount", f"/run/netns/{name}"], check=True)
    assert reasons(node) == {"former": f"its network namespace /run/netns/{name} is another one now"}


def test_what_an_earlier_boot_left_goes(node: Node, namespace: Callable[[], str]) -> None:
    there = namespace()
    add(node, "before", there)
    ledger = SqliteStore(str(node.data_dir / "unipam.db"))
    with ledger.transaction() as tx:
        tx.set_note("boot", "2 another boot of this machine")
    ledger.close()
    with node.agent(*SWEEP):
        add(node, "now", there)
        wait_until(lambda: set(node.held().values()) == {"now"})
        sweeps_again(node, namespace)
    assert set(node.held().values()) == {"now"}
    assert reasons(node)["before"] == "the machine was rebooted since"


def test_a_lease_in_doubt_stays(node: Node, namespace: Callable[[], str]) -> None:
    conf = CONF | {"ipam": node.ipam("10.99.0.0/24")}
    assert node.call("ADD", conf, "doubt", netns="/never/seen").code == 0
    with node.agent(*SWEEP):
        sweeps_again(node, namespace)
    assert set(node.held().values()) == {"doubt"}


IN_THE_USUAL_PLACE = 'mkdir -p /var/lib/cni && mount --bind "$1" /var/lib/cni && shift && exec "$@"'


def test_an_agent_that_nobody_has_called_yet_sweeps_the_usual_directory(node: Node) -> None:
    netns = node.root / "netns"
    netns.touch()
    conf = CONF | {"ipam": node.ipam("10.99.0.0/24")}
    assert node.call("ADD", conf, "gone", netns=str(netns)).code == 0
    netns.unlink()
    agent = [UNIPAM, "agent", "--socket", str(node.socket), "--metrics", "", *SWEEP]
    argv = ["unshare", "--mount", "sh", "-c", IN_THE_USUAL_PLACE, "sh", str(node.root), *agent]
    with subprocess.Popen(argv, stderr=subprocess.DEVNULL) as process:
        try:
            wait_until(lambda: node.held() == {})
        finally:
            process.terminate()
    assert reasons(node) == {"gone": f"its network namespace {netns} is gone"}


def test_two_looks_take_less_than_a_minute() -> None:
    """The promise for an agent as it is installed: found gone twice, and released, within 60 s of the death."""
    interval = next(option.default for option in agent_command.params if option.name == "sweep")
    assert isinstance(interval, float)
    assert 2 * interval + 15 < 60, "with time to spare for the looking"
