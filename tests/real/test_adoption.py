"""host-local's leases under a real containerd are taken over: living pods get their names, what had leaked goes."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from tests.conftest import items
from tests.real.containerd import Containerd
from tests.real.cri import Runtime
from tests.real.node import PLUGINS, UNIPAM, Node, wait_until

from unipam.cni.install import install
from unipam.model import facts

pytestmark = pytest.mark.real

LEAKED = "f" * 64


@pytest.fixture
def original(node: Node) -> Node:
    """The node as it was before: the real host-local."""
    (node.bin_dir / "host-local").unlink()
    (node.bin_dir / "host-local").symlink_to(PLUGINS / "host-local")
    return node


def go_over(node: Node) -> None:
    """Put the launcher in the original's place."""
    (node.bin_dir / "host-local").unlink()
    install(node.bin_dir, node.socket, ["host-local"])


def pods(node: Node) -> dict[str, str]:
    """The pods that the ledger knows, by container."""
    return {claim.owner.holder: facts.read_lease(claim.details).pod for claim in node.claims()}


def doubtful(node: Node) -> set[str]:
    """The containers that `unipam status` calls doubtful."""
    words = ["status", "--socket", str(node.socket), "--data-dir", str(node.data_dir), "-o", "json"]
    done = subprocess.run([UNIPAM, *words], capture_output=True, text=True, check=False)
    (ledger,) = json.loads(done.stdout)["ledgers"]
    assert ledger["leaked"] == []
    return {row["container"].partition("/")[0] for row in ledger["doubtful"]}


def test_living_pods_are_named_and_a_leak_from_before_is_freed(
    original: Node, containerd: Containerd, cri: Runtime, namespace: Callable[[], str], tmp_path: Path
) -> None:
    web, db = cri.run("web"), cri.run("db", "shop")
    conf = {"cniVersion": "1.0.0", "name": "cri", "ipam": original.ipam("10.88.0.0/24", "fd88::/64")}
    assert original.call("ADD", conf, LEAKED, netns=f"/run/netns/{namespace()}").code == 0
    containerd.stop()
    containerd.start()  # only what this process lists is alive, however young the files are
    go_over(original)
    with original.agent("--sweep", "0.3", "--cri", containerd.socket):
        late = cri.run("late")
        adopted = {entry.owner.holder for entry in original.journal() if entry.verb == "adopt"}
        assert adopted == {web, db, LEAKED}, "the first call takes all of it over"
        assert {web, db, late} <= set(original.held().values())
        wait_until(lambda: set(original.held().values()) == {web, db, late})
        assert pods(original) == {web: "test/web", db: "shop/db", late: "test/late"}
        assert doubtful(original) == set()
        cri.stop(db)
        cri.remove(db)
    assert set(original.held().values()) == {web, late}
    released = {entry.owner.holder: entry.reason for entry in original.journal() if entry.verb == "release"}
    assert released == {LEAKED: "the container runtime knows no such sandbox", db: "DEL"}
    words = ["lease", "history", "shop/db", "--data-dir", str(original.data_dir), "-o", "json"]
    past = items(subprocess.run([UNIPAM, *words], capture_output=True, text=True, check=True).stdout)
    assert {row["pod"] for row in past} == {"shop/db"}
    assert [row["verb"] for row in past] == ["release"] * 2 + ["identify"] * 2 + ["adopt"] * 2


def test_living_pods_are_not_doubtful_although_nobody_asks_the_runtime(
    original: Node, containerd: Containerd, cri: Runtime, namespace: Callable[[], str]
) -> None:
    web = cri.run("web")
    conf = {"cniVersion": "1.0.0", "name": "cri", "ipam": original.ipam("10.88.0.0/24", "fd88::/64")}
    assert original.call("ADD", conf, LEAKED, netns=f"/run/netns/{namespace()}").code == 0
    go_over(original)
    adopt = [UNIPAM, "adopt", "host-local", "--data-dir", str(original.data_dir)]
    subprocess.run(adopt, capture_output=True, check=True)
    assert set(original.held().values()) == {web, LEAKED}
    assert doubtful(original) == {LEAKED}


def test_adopting_by_name_asks_the_runtime_whose_the_leases_are(
    original: Node, containerd: Containerd, cri: Runtime
) -> None:
    web = cri.run("web")
    go_over(original)
    adopt = [UNIPAM, "adopt", "host-local", "--data-dir", str(original.data_dir), "--cri"]
    wrong = subprocess.run([*adopt, "/nowhere.sock"], capture_output=True, text=True, check=False)
    assert wrong.returncode == 1
    assert "the container runtime at /nowhere.sock could not be asked" in wrong.stderr
    assert not (original.data_dir / "unipam.db").exists(), "nothing was taken over"
    subprocess.run([*adopt, containerd.socket], capture_output=True, check=True)
    assert pods(original) == {web: "test/web"}
