"""The self-contained tree on a node: the cold path with nothing else of the machine's, and trees coming and going."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import sysconfig
from pathlib import Path

import pytest
from tests.real.node import wait_until

from unipam.cni import launcher, standalone
from unipam.model.errors import InstallError

MAKER = Path(__file__).parents[2] / "deploy" / "standalone.py"
OURS = Path(launcher.__file__).parents[1]
NEEDED = ("click", "msgspec", "yaml")
"""What `unipam cni install` and the cold path import, of all that an image would bring."""
CALL = {"CNI_COMMAND": "ADD", "CNI_CONTAINERID": "c1", "CNI_NETNS": "/n", "CNI_IFNAME": "eth0", "CNI_PATH": "/bin"}
CONF = {
    "cniVersion": "1.0.0", "name": "net",
    "ipam": {"type": "host-local", "subnet": "10.9.0.0/24", "dataDir": "/networks"},
}  # fmt: skip


@pytest.fixture(scope="module")
def tree(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tree as the image's build makes it, from the packages of the environment that runs the tests."""
    made = tmp_path_factory.mktemp("image") / "tree"
    site = Path(sysconfig.get_path("purelib"))
    shutil.copytree(OURS, made / "packages" / "unipam", ignore=shutil.ignore_patterns("__pycache__"))
    for name in [*NEEDED, next(site.glob("unipam-*.dist-info")).name]:
        shutil.copytree(site / name, made / "packages" / name, ignore=shutil.ignore_patterns("__pycache__"))
    subprocess.run([sys.executable, MAKER, made], check=True, timeout=300)
    return made


def small(place: Path, name: str) -> Path:
    """A tree for those who only carry it."""
    (place / "bin").mkdir(parents=True)
    (place / "bin" / "python3").write_text(name)
    (place / "NAME").write_text(name + "\n")
    return place


def names(root: Path) -> list[str]:
    return sorted(path.name for path in root.iterdir())


@pytest.mark.skipif(os.geteuid() != 0, reason="chroot needs root")
def test_the_cold_path_needs_nothing_of_the_node(tree: Path, tmp_path: Path) -> None:
    """In a root directory where nothing else is: no C library, no Python, no shell."""
    node = tmp_path / "node"
    (node / "plugins").mkdir(parents=True)
    install = ["cni", "install", "--bin-dir", "/plugins", "--name", "host-local", "--copy-to", "/opt/unipam"]
    shutil.copytree(tree, node / "image")
    subprocess.run([*_alone_in(node), *_within(Path("/image")), *install], check=True, timeout=60)
    shutil.rmtree(node / "image")  # the container is gone
    env = CALL | {"PATH": os.environ["PATH"]}
    command = [*_alone_in(node), "/plugins/host-local"]
    done = subprocess.run(
        command, env=env, input=json.dumps(CONF).encode(), capture_output=True, timeout=60, check=False
    )
    assert done.returncode == 0, done
    assert json.loads(done.stdout)["ips"][0]["address"] == "10.9.0.2/24"
    assert names(node / "opt" / "unipam") == sorted(["current", standalone.name(tree)])


def _alone_in(node: Path) -> list[str]:
    (node / "proc").mkdir(exist_ok=True)
    return ["unshare", "--mount", "sh", "-ec", 'mount -t proc proc "$0/proc"; exec chroot "$0" "$@"', str(node)]


def _within(tree: Path) -> list[str]:
    """The tree's own `unipam`, without a shell."""
    code = f"import sys; sys.path.append('{tree}/packages'); from unipam.cli.main import main; main()"
    return [*standalone.cold(tree)[:5], "-I", "-S", "-c", code]


def test_its_command_says_its_version_whatever_it_is_called_by(tree: Path, tmp_path: Path) -> None:
    (tmp_path / "unipam").symlink_to(tree / "bin" / "unipam")
    said = subprocess.run([tmp_path / "unipam", "--version"], capture_output=True, text=True, check=True, timeout=60)
    assert standalone.name(tree).startswith(said.stdout.split()[-1] + "-")


def test_a_tree_comes_whole_and_the_former_one_stays_for_its_calls(tmp_path: Path) -> None:
    root = tmp_path / "opt"
    for name in ("1-a", "2-b", "3-c"):
        standalone.settle(standalone.copy(root, small(tmp_path / name, name)))
        assert (root / "current" / "bin" / "python3").read_text() == name
    assert names(root) == ["2-b", "3-c", "current"]
    standalone.settle(standalone.copy(root, tmp_path / "3-c"))  # a pod that starts again
    assert names(root) == ["2-b", "3-c", "current"]


def test_a_copy_that_was_killed_is_begun_anew(tmp_path: Path) -> None:
    root = tmp_path / "opt"
    (root / ".draft-1-a" / "bin").mkdir(parents=True)
    standalone.settle(standalone.copy(root, small(tmp_path / "1-a", "1-a")))
    assert names(root) == ["1-a", "current"]
    assert (root / "1-a" / "bin" / "python3").read_text() == "1-a"


def test_what_is_no_tree_is_refused_and_left(tmp_path: Path) -> None:
    root = tmp_path / "opt"
    with pytest.raises(InstallError, match="is not a self-contained tree"):
        standalone.copy(root, tmp_path)
    assert not root.exists()
    root.write_text("a file")
    with pytest.raises(InstallError, match=f"{root}: File exists: give another directory"):
        standalone.copy(root, small(tmp_path / "1-a", "1-a"))


def test_trees_are_removed_and_nothing_else(tmp_path: Path) -> None:
    root = tmp_path / "opt"
    standalone.settle(standalone.copy(root, small(tmp_path / "1-a", "1-a")))
    (root / "somebody's").mkdir()
    standalone.remove(root)
    assert names(root) == ["somebody's"]
    (root / "somebody's").rmdir()
    standalone.remove(root)
    assert not root.exists()
    standalone.remove(root)  # once more, as a pod that starts again does


def test_a_tree_in_use_stays(tree: Path, tmp_path: Path) -> None:
    root = tmp_path / "opt"
    made = standalone.copy(root, tree)
    command = [*standalone.cold(made)[:5], "-I", "-S", "-c", "input()"]
    with subprocess.Popen(command, stdin=subprocess.PIPE) as process:
        wait_until(Path(f"/proc/{process.pid}/cmdline").read_bytes)  # empty for a moment while the program is loaded
        try:
            with pytest.raises(InstallError, match=f"in use by process {process.pid}"):
                standalone.remove(root, timeout=0)
            assert made.is_dir()
        finally:
            process.communicate(b"\n", timeout=60)
    standalone.remove(root)
    assert not root.exists()
