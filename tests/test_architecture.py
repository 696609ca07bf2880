"""What no single module's test holds: the error tree is translated, imports point down, the cold path stays small."""

from __future__ import annotations

import ast
import configparser
import importlib
import json
import os
import pkgutil
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import click
import pytest

import unipam
from unipam.cni import plugin
from unipam.dialects import registry
from unipam.model import errors
from unipam.model.errors import UnipamError

ROOT = Path(__file__).resolve().parent.parent


# The error tree ----------------------------------------------------------------------------------------------


def tree(kind: type[UnipamError] = UnipamError) -> Iterator[type[UnipamError]]:
    """The class and all below it."""
    yield kind
    for child in kind.__subclasses__():
        yield from tree(child)


EVERY_ERROR = [kind for kind in tree() if kind.__module__.startswith("unipam.")]
TABLES = {"protocol": plugin.CODES} | {name: registry.plugin(name).codes for name in registry.names()}


def test_every_error_stands_in_the_one_tree() -> None:
    for found in pkgutil.walk_packages(unipam.__path__, "unipam."):
        if not found.name.endswith("__main__"):
            importlib.import_module(found.name)
    assert {kind.__module__ for kind in tree() if kind.__module__.startswith("unipam.")} == {errors.__name__}


OUTSIDE = {
    "unipam.ledger.open.WouldBlock",
    "unipam.dialects.calico.engine.claiming.NoFreeBlocks",
    "unipam.dialects.calico.engine.counting.Full",
    "unipam.clients.kubernetes.connection.Unsent",
    "unipam.clients.kubernetes.exchange.Disconnected",
    "unipam.clients.kubernetes.exchange.ProtocolError",
    "unipam.clients.kubernetes.connection.Untrusted",
    "unipam.clients.kubernetes.api.Refusal",
    "unipam.clients.kubernetes.api.WatchEnded",
    "unipam.sizing.fields.InvalidClusterError",
    "unipam.cli.collect.CollectionFailed",
    "unipam.clients.etcd.channel.RpcFailed",
    "unipam.clients.http2.connection.Lost",
}
"""The exceptions that are no `UnipamError`, as the docstring of `model.errors` has them."""


def test_no_more_stands_outside_the_tree_than_its_docstring_says() -> None:
    modules = [found.name for found in pkgutil.walk_packages(unipam.__path__, "unipam.")]
    classes = {
        each
        for name in modules
        if not name.endswith("__main__")
        for each in vars(importlib.import_module(name)).values()
        if isinstance(each, type) and issubclass(each, Exception) and each.__module__ == name
    }
    strangers = {each for each in classes if not issubclass(each, UnipamError | click.ClickException)}
    assert {f"{each.__module__}.{each.__name__}" for each in strangers if not each.__name__.startswith("_")} == OUTSIDE
    assert all(f"`{name.rpartition('.')[2]}`" in (errors.__doc__ or "") for name in OUTSIDE)


def drawn() -> list[tuple[int, str]]:
    """The depth and the name of every line of the drawing in the docstring."""
    lines = re.findall(r"^    ((?:│   |    )*(?:├── |└── )?)(\w+)(?:  .*)?$", errors.__doc__ or "", re.MULTILINE)
    return [(len(indent) // 4, name) for indent, name in lines]


def depth(kind: type[UnipamError]) -> int:
    return kind.__mro__.index(UnipamError)


def test_the_drawing_shows_the_tree_as_it_is() -> None:
    assert drawn() == [(depth(kind), kind.__name__) for kind in EVERY_ERROR]


def test_every_error_has_its_own_name() -> None:
    names = [kind.name for kind in EVERY_ERROR if kind is not UnipamError]
    assert names == [kind.__name__ for kind in EVERY_ERROR if kind is not UnipamError]
    assert len(set(names)) == len(names)


@pytest.mark.parametrize("kind", EVERY_ERROR)
@pytest.mark.parametrize("table", TABLES)
def test_every_error_has_a_cni_code(kind: type[UnipamError], table: str) -> None:
    code = plugin.code_of(kind("what happened", path="/x"), TABLES[table])
    assert 1 <= code <= 999


@pytest.mark.parametrize("kind", EVERY_ERROR)
@pytest.mark.parametrize("name", registry.names())
def test_every_error_has_words(kind: type[UnipamError], name: str) -> None:
    assert "what happened" in registry.plugin(name).word(kind("what happened"))


@pytest.mark.parametrize("name", registry.names())
def test_a_runtime_is_told_to_try_again_exactly_when_that_may_help(name: str) -> None:
    """Code 11 is CNI's "try again later" (spec cni-and-host-local §1.4)."""
    codes = registry.plugin(name).codes
    for kind in (errors.StoreBusy, errors.GivenBack, errors.Superseded):
        assert plugin.code_of(kind("x"), codes) == 11
    assert {kind for kind in EVERY_ERROR if plugin.code_of(kind("x"), codes) == 11} <= {
        kind for kind in EVERY_ERROR if kind.temporary
    }


def test_an_error_is_one_line_and_its_facts() -> None:
    error = errors.Taken("the address is held", address="10.0.0.2")
    assert (str(error), error.message, error.facts) == (
        "the address is held", "the address is held", {"address": "10.0.0.2"},
    )  # fmt: skip
    assert (error.name, errors.StoreBusy.temporary, errors.StoreBroken.temporary) == ("Taken", True, False)


# Imports -----------------------------------------------------------------------------------------------------


def test_imports_point_down() -> None:
    lint = Path(sys.executable).parent / "lint-imports"
    environment = {**os.environ, "PYTHONPATH": str(ROOT / "src")}
    done = subprocess.run(
        [lint, "--no-cache"], cwd=ROOT, env=environment, capture_output=True, text=True, check=False, timeout=120
    )
    assert done.returncode == 0, done.stdout + done.stderr


BREACHES = {
    "down": ("store/rows.py", "import unipam.ledger.ledger"),
    "processes": ("agent/peer.py", "import unipam.cold.__main__"),
    "halves": ("plan/tree.py", "import unipam.ledger.ledger"),
    "registry": ("dialects/host_local/config.py", "import unipam.dialects.azure_vnet.config"),
    "apis": ("server/native/access.py", "import unipam.server.azure_ipam.spaces"),
    "pure": ("model/rules.py", "import time"),
    "sqlite": ("ledger/reads.py", "import sqlite3"),
    "addresses": ("diagnose/tables/pods.py", "import ipaddress"),
    "loops": ("plan/blocks.py", "import asyncio"),
    "dialects": ("dialects/azure_vnet/pools.py", "import unipam.store.sqlite"),
}
"""For each contract of .importlinter a module, and a line that must not stand in it."""


def contracts() -> dict[str, str]:
    """The names of the contracts by their ids."""
    read = configparser.ConfigParser()
    read.read(ROOT / ".importlinter")
    prefix = "importlinter:contract:"
    return {each.removeprefix(prefix): read[each]["name"] for each in read.sections() if each.startswith(prefix)}


@pytest.mark.parametrize("contract", contracts())
def test_a_contract_that_is_broken_is_found(contract: str, tmp_path: Path) -> None:
    module, line = BREACHES[contract]
    shutil.copytree(ROOT / "src" / "unipam", tmp_path / "src" / "unipam", ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / ".importlinter", tmp_path)
    with (tmp_path / "src" / "unipam" / module).open("a", encoding="utf-8") as file:
        file.write(f"\n{line}\n")
    lint = Path(sys.executable).parent / "lint-imports"
    environment = {**os.environ, "PYTHONPATH": str(tmp_path / "src")}
    done = subprocess.run(
        [lint, "--no-cache"], cwd=tmp_path, env=environment, capture_output=True, text=True, check=False, timeout=120
    )
    assert done.returncode != 0
    assert f"{contracts()[contract]} BROKEN" in done.stdout, done.stdout


HEAVY = {
    "argparse", "asyncio", "azure", "click", "concurrent", "dataclasses", "email", "fastapi", "grpc", "http",
    "httpx", "lightkube", "logging", "multiprocessing", "pathlib", "pickle", "prometheus_client", "psycopg",
    "pydantic", "rich", "ssl", "starlette", "subprocess", "tempfile", "unittest", "urllib", "uvloop", "yaml",
}  # fmt: skip
"""What the cold path cannot afford: any of it would be felt (design §5). msgspec brings inspect and decimal."""

DRIVER = """
import os, runpy, sys
def end(code):
    sys.stderr.write(repr((code, sorted(sys.modules))))
    sys.stderr.flush()
    leave(code)
leave, os._exit = os._exit, end
sys.argv = ["-m", "host-local"]
runpy.run_module("unipam.cold", run_name="__main__")
"""
"""Runs the cold path as `-m` does, and says at its end what is in memory; runpy itself brings none of the above."""


def cold(tmp_path: Path, verb: str) -> tuple[int, str, set[str]]:
    """The exit code, what is printed, and the modules that one call of the cold path leaves in memory."""
    ipam = {"type": "host-local", "dataDir": str(tmp_path / "state"), "subnet": "10.1.2.0/24"}
    config = {"cniVersion": "1.0.0", "name": "net", "type": "bridge", "ipam": ipam}
    environment = {
        "CNI_COMMAND": verb,
        "CNI_CONTAINERID": "c1",
        "CNI_IFNAME": "eth0",
        "CNI_NETNS": "/n",
        "CNI_PATH": "/p",
    }
    done = subprocess.run(
        [sys.executable, "-I", "-c", DRIVER], input=json.dumps(config), env=environment, capture_output=True, text=True,
        check=False, timeout=60,
    )  # fmt: skip
    code, modules = ast.literal_eval(done.stderr)
    return code, done.stdout, set(modules)


@pytest.mark.parametrize("verb", ["VERSION", "ADD", "DEL"])
def test_the_cold_path_imports_nothing_heavy(tmp_path: Path, verb: str) -> None:
    code, printed, modules = cold(tmp_path, verb)
    assert code == 0, printed
    assert "10.1.2.2/24" in printed or verb != "ADD"
    assert {name.partition(".")[0] for name in modules} & HEAVY == set()
    ours = {name for name in modules if name.startswith("unipam.")}
    assert "unipam.cni.plugin" in ours
    assert not {name for name in ours if name.split(".")[1] in {"agent", "server", "cli", "clients", "controllers"}}


def test_the_cold_path_starts_as_the_launcher_starts_it(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-I", "-m", "unipam.cold", "host-local"], env={"CNI_COMMAND": "VERSION"}, input=b"",
        capture_output=True, check=False, timeout=60,
    )  # fmt: skip
    assert (done.returncode, done.stderr) == (0, b"")
    assert json.loads(done.stdout)["supportedVersions"][-1] == "1.1.0"
