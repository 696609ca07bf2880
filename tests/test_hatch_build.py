"""The build hook, by building a wheel from a copy of what it needs."""

from __future__ import annotations

import os
import platform
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
from tests.real.node import missing

_MISSING = missing({"gcc-aarch64-linux-gnu": "aarch64-linux-gnu-gcc"})
cross = [pytest.mark.real, pytest.mark.skipif(bool(_MISSING), reason=_MISSING)]

ROOT = Path(__file__).parent.parent
FILES = (
    ".git_archival.txt", ".gitattributes", "LICENSE", "README.md", "hatch_build.py", "pyproject.toml",
    "src/unipam/cni/launcher.c",
)  # fmt: skip


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    for name in FILES:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / name, tmp_path / name)
    (tmp_path / "src/unipam/__init__.py").touch()
    return tmp_path


def build(tree: Path, target: str, compiler: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "hatchling", "build", "-t", target, "-d", "dist"]
    env = os.environ | {"CC": compiler}
    return subprocess.run(command, cwd=tree, env=env, capture_output=True, text=True, check=False)


def built(tree: Path, compiler: str) -> Path:
    """The wheel that this compiler makes."""
    shutil.rmtree(tree / "dist", ignore_errors=True)
    done = build(tree, "wheel", compiler)
    assert done.returncode == 0, done.stderr
    (wheel,) = (tree / "dist").iterdir()
    return wheel


@pytest.mark.parametrize(
    ("compiler", "machine", "number"),
    [
        pytest.param("", platform.machine(), None, id="here"),
        pytest.param("aarch64-linux-gnu-gcc", "aarch64", 183, id="aarch64", marks=cross),
    ],
)
def test_a_wheel_has_an_executable_launcher_and_names_the_compiler_s_processor(
    tree: Path, compiler: str, machine: str, number: int | None
) -> None:
    wheel = built(tree, compiler)
    tags = [f"{system}_{machine}" for system in ("manylinux_2_17", "manylinux2014", "musllinux_1_1")]
    assert wheel.name == f"unipam-0.0-py3-none-{'.'.join(tags)}.whl"
    with zipfile.ZipFile(wheel) as archive:
        info = archive.getinfo("unipam/cni/launcher")
        assert info.external_attr >> 16 & 0o777 == 0o755
        launcher = archive.read(info)
    assert launcher.startswith(b"\x7fELF")
    assert number in {None, int.from_bytes(launcher[18:20], "little")}
    assert len(launcher) < 10 * 1024, "what starts at each call is small"


def test_a_wheel_leaves_the_checkout_s_own_launcher_alone(tree: Path) -> None:
    (tree / "src/unipam/cni/launcher").write_bytes(b"of this processor")
    with zipfile.ZipFile(built(tree, "")) as archive:
        assert archive.read("unipam/cni/launcher").startswith(b"\x7fELF")
        assert archive.namelist().count("unipam/cni/launcher") == 1
    assert (tree / "src/unipam/cni/launcher").read_bytes() == b"of this processor"


def test_the_same_tree_gives_the_same_wheel_bit_by_bit(tree: Path) -> None:
    first = built(tree, "").read_bytes()
    os.utime(tree / "src/unipam/__init__.py", (0, 2**31))
    assert built(tree, "").read_bytes() == first


def test_a_compiler_of_another_system_is_refused(tree: Path) -> None:
    foreign = tree / "foreign-cc"
    foreign.write_text('#!/bin/sh\nwhile [ "$1" != -o ]; do shift; done\necho MZ > "$2"\n')
    foreign.chmod(0o755)
    done = build(tree, "wheel", str(foreign))
    assert done.returncode != 0
    assert f"{foreign} makes no code for Linux on x86_64 or aarch64" in done.stderr


def git(tree: Path, *words: str) -> bytes:
    name = ["-c", "user.name=test", "-c", "user.email=test@localhost"]
    return subprocess.run(["git", *name, *words], cwd=tree, capture_output=True, check=True).stdout


def version(tree: Path) -> str:
    command = [sys.executable, "-m", "hatchling", "version"]
    return subprocess.run(command, cwd=tree, capture_output=True, text=True, check=True).stdout.strip()


def test_the_version_is_the_tag_s_in_a_clone_and_in_an_archive_of_it(
    tree: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    assert version(tree) == "0.0", "a copy of the files knows none, and can be built all the same"
    git(tree, "init", "-q")
    git(tree, "add", ".")
    git(tree, "commit", "-qm", "one")
    assert version(tree).startswith("0.1.dev1+g"), "a clone without tags"
    git(tree, "tag", "v1.2.3")
    assert version(tree) == "1.2.3"
    archive = tmp_path_factory.mktemp("archive")
    subprocess.run(["tar", "x", "-C", archive], input=git(tree, "archive", "HEAD"), check=True)
    assert version(archive) == "1.2.3"
    git(tree, "commit", "-qm", "two", "--allow-empty")
    assert version(tree).startswith("1.2.4.dev1+g")


def test_a_source_distribution_has_the_source_and_the_hook_and_needs_no_compiler(tree: Path) -> None:
    assert build(tree, "sdist", "no-such-compiler").returncode == 0
    (archive,) = (tree / "dist").iterdir()
    shutil.unpack_archive(archive, tree / "unpacked")
    (unpacked,) = (tree / "unpacked").iterdir()
    assert (unpacked / "src/unipam/cni/launcher.c").exists()
    assert not (unpacked / "src/unipam/cni/launcher").exists()
    assert build(unpacked, "wheel", "cc -g").returncode == 0


def test_a_missing_compiler_is_named(tree: Path) -> None:
    done = build(tree, "wheel", "no-such-compiler")
    assert done.returncode != 0
    assert "no C compiler 'no-such-compiler'" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_failing_compiler_is_heard(tree: Path) -> None:
    (tree / "src/unipam/cni/launcher.c").write_text("#error nothing to see\n")
    done = build(tree, "wheel", "cc")
    assert done.returncode != 0
    assert "nothing to see" in done.stderr
    assert "Traceback" not in done.stderr
