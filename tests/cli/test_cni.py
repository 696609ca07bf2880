"""`unipam cni`: what an operator types and reads."""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING

import pytest
import yaml
from click.testing import CliRunner, Result
from tests.conftest import items

from unipam.cli.cni import command
from unipam.cni import launcher

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def bin_dir(tmp_path: Path) -> Path:
    (tmp_path / "host-local").write_bytes(b"the original")
    return tmp_path


def run(*words: str | Path) -> Result:
    return CliRunner().invoke(command, list(map(str, words)))


def test_installed_and_given_back(bin_dir: Path) -> None:
    done = run("install", "--bin-dir", bin_dir, "--socket", "/run/a.sock", "--name", "host-local")
    assert (done.exit_code, done.output.split()[:2]) == (0, ["replace", str(bin_dir / "host-local")])
    assert launcher.settings(bin_dir / "host-local").socket == "/run/a.sock"
    done = run("uninstall", "--bin-dir", bin_dir)
    assert (done.exit_code, done.output.split()[:2]) == (0, ["restore", str(bin_dir / "host-local")])
    assert [path.name for path in bin_dir.iterdir()] == ["host-local"]
    assert (bin_dir / "host-local").read_bytes() == b"the original"
    assert run("uninstall", "--bin-dir", bin_dir).output == "nothing of unipam's there\n"


@pytest.mark.parametrize(("output", "parse"), [("json", json.loads), ("yaml", yaml.safe_load)])
def test_a_dry_run_for_machines(bin_dir: Path, output: str, parse) -> None:  # type: ignore[no-untyped-def]
    names = ("--name", "host-local", "--name", "other")
    done = run("install", "--bin-dir", bin_dir, "--socket", "/run/a.sock", *names, "--dry-run", "-o", output)
    path = str(bin_dir / "host-local")
    assert parse(done.output)["items"] == [
        {"plugin": "host-local", "action": "replace", "path": path, "kept": f"{path}.before-unipam"},
        {"plugin": "other", "action": "install", "path": str(bin_dir / "other"), "kept": None},
    ]
    assert os.listdir(bin_dir) == ["host-local"]


def test_nothing_to_give_back_is_an_empty_list(tmp_path: Path) -> None:
    assert items(run("uninstall", "--bin-dir", tmp_path, "-o", "json").output) == []


def test_an_error_is_one_line(bin_dir: Path) -> None:
    done = run("install", "--bin-dir", bin_dir / "absent", "--socket", "/run/a.sock")
    assert done.exit_code == 1
    assert done.output.startswith(f"Error: {bin_dir}/absent: No such file or directory")
    assert done.output.count("\n") == 1


def test_calico_ipam_is_replaced_only_when_it_is_named(bin_dir: Path) -> None:
    (bin_dir / "calico-ipam").write_bytes(b"the original")
    done = run("install", "--bin-dir", bin_dir, "--socket", "/run/a.sock")
    assert f"{bin_dir / 'calico-ipam'} stays as it is: --name calico-ipam puts unipam in its place" in done.output
    assert (bin_dir / "calico-ipam").read_bytes() == b"the original"
    done = run("install", "--bin-dir", bin_dir, "--socket", "/run/a.sock", "--name", "calico-ipam")
    assert "stays" not in done.output
    assert launcher.is_launcher(bin_dir / "calico-ipam")
    assert "stays" not in run("install", "--bin-dir", bin_dir, "--socket", "/run/a.sock").output
