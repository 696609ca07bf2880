"""The build hook, by building a wheel from a copy of what it needs."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    for name in ("pyproject.toml", "README.md", "LICENSE", "hatch_build.py", "src/unipam/cni/launcher.c"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / name, tmp_path / name)
    (tmp_path / "src/unipam/__init__.py").touch()
    return tmp_path


def build(tree: Path, target: str, compiler: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "hatchling", "build", "-t", target, "-d", "dist"]
    env = os.environ | {"CC": compiler}
    return subprocess.run(command, cwd=tree, env=env, capture_output=True, text=True, check=False)


def test_a_wheel_has_an_executable_launcher_and_names_its_platform(tree: Path) -> None:
    assert build(tree, "wheel", "").returncode == 0
    (wheel,) = (tree / "dist").iterdir()
    assert "-py3-none-linux_" in wheel.name
    with zipfile.ZipFile(wheel) as archive:
        info = archive.getinfo("unipam/cni/launcher")
        assert info.external_attr >> 16 & 0o777 == 0o755
        assert archive.read(info).startswith(b"\x7fELF")


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
