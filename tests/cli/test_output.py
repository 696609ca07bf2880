"""What every listing can do: formats, order, limits, watching; on a real ledger and a real register."""

from __future__ import annotations

import csv
import io
import itertools
import json
import os
import pty
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml
from click.testing import CliRunner, Result
from tests.conftest import UNIPAM, items

from unipam.cli.main import unipam
from unipam.cli.watching import changes
from unipam.cni.call import Call
from unipam.cni.context import Context
from unipam.dialects.registry import answer
from unipam.ledger.open import Ledgers

POD = "kube-system/coredns-597bb9d4db-nkqfz"
CONTAINER = "32970baf" * 8


def run(*words: object) -> Result:
    return CliRunner().invoke(unipam, [str(word) for word in words])


def call(verb: str, data_dir: Path, holder: str, pod: str = POD, network: str = "kubenet") -> None:
    ipam = {"type": "host-local", "dataDir": str(data_dir), "ranges": [[{"subnet": "10.244.2.0/24"}]]}
    namespace, _, name = pod.partition("/")
    env = {
        "CNI_COMMAND": verb, "CNI_CONTAINERID": holder, "CNI_NETNS": "/x", "CNI_IFNAME": "eth0", "CNI_PATH": "/x",
        "CNI_ARGS": f"IgnoreUnknown=1;K8S_POD_NAMESPACE={namespace};K8S_POD_NAME={name}",
    }  # fmt: skip
    ledgers = Ledgers()
    config = json.dumps({"cniVersion": "1.0.0", "name": network, "ipam": ipam}).encode()
    assert answer(Call("host-local", env, config), Context(ledgers)).code == 0
    ledgers.close_all()


@pytest.fixture
def data_dir(tmp_path: Path) -> Path:
    call("ADD", tmp_path, CONTAINER)
    call("ADD", tmp_path, "c2", "shop/web-0")
    call("ADD", tmp_path, "c3", "shop/web-1", "other")
    return tmp_path


@pytest.fixture
def database(tmp_path: Path) -> Path:
    made = tmp_path / "register.db"
    for words in (("register", "init"), ("space", "add", "prod", "--desc", "d"),
                  ("block", "add", "prod", "west", "10.0.0.0/12"), ("block", "add", "prod", "v6", "fd00::/32"),
                  ("reservation", "add", "prod", "west", "--size", "14")):  # fmt: skip
        assert run(*words, "--database", made).exit_code == 0
    return made


def test_pod_address_and_age_are_whole_within_80_columns(data_dir: Path) -> None:
    """The widest usual names; on a terminal and in a pipe it is the same text."""
    words = [UNIPAM, "lease", "list", "--data-dir", str(data_dir)]
    piped = subprocess.run(words, capture_output=True, text=True, check=True).stdout
    for line in piped.splitlines():
        assert len(line[: line.find(CONTAINER[:12])] if CONTAINER[:12] in line else "") < 80
    line = next(line for line in piped.splitlines() if POD in line)
    assert line.split()[:4:3] == ["10.244.2.2", line.split()[3]]
    assert CONTAINER[:12] in line
    assert CONTAINER not in line
    leader, follower = pty.openpty()
    process = subprocess.Popen(words, stdout=follower, env={**os.environ, "COLUMNS": "40", "TERM": "xterm"})
    os.close(follower)
    assert process.wait(60) == 0
    shown = os.read(leader, 1 << 16).decode().replace("\r\n", "\n")
    os.close(leader)
    strip = [[w for i, w in enumerate(each.split()) if i != 3] for each in shown.splitlines()]
    assert strip == [[w for i, w in enumerate(each.split()) if i != 3] for each in piped.splitlines()]


def test_listings_are_filtered(data_dir: Path) -> None:
    def addresses(*words: str) -> list[str]:
        return run("lease", "list", "--data-dir", data_dir, *words, "-o", "name").stdout.split()

    assert addresses() == ["10.244.2.2", "10.244.2.3", "10.244.2.2"]
    assert addresses("--pod", POD) == addresses("--pod", POD.partition("/")[2]) == ["10.244.2.2"]
    assert addresses("--namespace", "shop") == ["10.244.2.3", "10.244.2.2"]
    assert addresses("--state", "cooling") == []
    assert addresses("--limit", "1", "--sort-by", "-address") == ["10.244.2.3"]
    node = os.uname().nodename
    past = ("lease", "history", "shop/web-0", "--data-dir", data_dir, "-o", "json", "--node")
    assert len(items(run(*past, node).stdout)) == 1
    assert items(run(*past, "elsewhere").stdout) == []


def test_every_format_has_the_same_rows(data_dir: Path) -> None:
    words = ("lease", "list", "--data-dir", data_dir, "--sort-by", "pod")
    rows = items(run(*words, "-o", "json").stdout)
    assert yaml.safe_load(run(*words, "-o", "yaml").stdout)["items"] == rows
    read = list(csv.DictReader(io.StringIO(run(*words, "-o", "csv").stdout)))
    assert [each["pod"] for each in read] == [row["pod"] for row in rows] == sorted(str(row["pod"]) for row in rows)
    assert list(read[0]) == list(rows[0])
    template = '{range .items[*]}{.address}{"\\n"}{end}'
    assert run(*words, "-o", f"jsonpath={template}").stdout.split() == [row["address"] for row in rows]
    wide = run(*words, "-o", "wide").stdout
    assert CONTAINER in wide
    assert len(run(*words, "--no-headers").stdout.splitlines()) == len(rows)


@pytest.mark.parametrize(
    ("words", "hint"),
    [
        (("--sort-by", "size"), "--sort-by size: there is no such column: address, pod, state"),
        (("-o", "xml"), "'xml' is not one of table, wide, name, csv, json, yaml, jsonpath=TEMPLATE"),
        (("-o", "jsonpath={.items"), "no } ends what begins with '{.items'"),
        (("--limit", "0"), "0 is not in the range x>=1"),
    ],
)
def test_what_cannot_be_printed_is_said(data_dir: Path, words: tuple[str, ...], hint: str) -> None:
    done = run("lease", "list", "--data-dir", data_dir, *words)
    assert (done.exit_code, done.stdout) == (2, "")
    assert hint in done.stderr


def test_numbers_that_json_readers_round_are_texts(database: Path) -> None:
    west, six = items(run("block", "list", "prod", "--database", database, "--sort-by", "size", "-o", "json").stdout)
    assert (west["utilisation"]["size"], six["utilisation"]["size"]) == (1 << 20, str(1 << 96))
    table = run("block", "list", "prod", "--database", database, "--sort-by", "-reserved").stdout
    assert table.splitlines()[1].split()[:7] == ["west", "10.0.0.0/12", "0%", "0", "262144", "786432", "1048576"]
    assert "2^96" in table


def test_changes_are_told_one_by_one() -> None:
    states = iter([
        [{"name": "a", "n": 1}, {"name": "b", "n": 1}],
        [{"name": "a", "n": 1}, {"name": "b", "n": 1}],
        [{"name": "a", "n": 2}, {"name": "c", "n": 1}],
    ])  # fmt: skip
    told = list(itertools.islice(changes(lambda: next(states), ("name",), lambda _: None), 2))
    assert [[(row["event"], row["name"]) for row in rows] for rows in told] == [
        [("present", "a"), ("present", "b")], [("changed", "a"), ("added", "c"), ("gone", "b")],
    ]  # fmt: skip


@pytest.fixture
def watching(data_dir: Path) -> Iterator[subprocess.Popen[str]]:
    # Where the tests run in the background SIGINT is ignored, and whatever is started then ignores it as well.
    words = ["env", "--default-signal=INT", UNIPAM, "lease", "list", "-w", "--data-dir", str(data_dir), "-o", "json"]
    with subprocess.Popen(words, stdout=subprocess.PIPE, text=True) as process:
        try:
            yield process
        finally:
            process.kill()


def test_a_watched_ledger_tells_of_a_new_lease_and_ends_when_interrupted(
    watching: subprocess.Popen[str], data_dir: Path
) -> None:
    assert watching.stdout
    assert {row["event"] for row in items(watching.stdout.readline())} == {"present"}
    call("ADD", data_dir, "c4", "shop/web-9")
    (row,) = items(watching.stdout.readline())
    assert (row["event"], row["pod"]) == ("added", "shop/web-9")
    call("DEL", data_dir, "c4", "shop/web-9")
    (row,) = items(watching.stdout.readline())
    assert row["event"] == "gone"
    watching.send_signal(signal.SIGINT)
    assert watching.wait(60) == 130
