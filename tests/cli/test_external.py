"""`unipam external` and `unipam network subnets`: on a local database and against a server alike."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from click.testing import CliRunner, Result
from tests.conftest import items
from tests.plan.clouds import MemoryCloud
from tests.server.live import serve

from unipam.cli.main import main, unipam
from unipam.model.errors import UnipamError

WAYS = ("database", "server")


class Terminal:
    """Types commands that reach one register."""

    def __init__(self, **environment: str) -> None:
        self._environment = environment

    def run(self, *words: str) -> Result:
        return CliRunner(env=self._environment).invoke(unipam, words)

    def rows(self, *words: str) -> list[dict[str, Any]]:
        done = self.run(*words, "-o", "json")
        assert done.exit_code == 0, (done.output, done.exception)
        return items(done.stdout)

    def names(self, *words: str) -> list[str]:
        return [row["name"] for row in self.rows(*words)]

    def refused(self, *words: str) -> str:
        done = self.run(*words)
        assert done.exit_code == 1
        assert isinstance(done.exception, UnipamError), done.exception
        return str(done.exception)


@pytest.fixture(params=WAYS)
def terminal(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Terminal]:
    """A space with a block, and in it the external dc with the subnet web."""
    database = str(tmp_path / "register.db")
    if request.param == "database":
        opened = Terminal(UNIPAM_DATABASE=database)
        assert opened.run("register", "init").exit_code == 0
        yield filled(opened)
        return
    cloud = MemoryCloud()
    cloud.put("net", "10.8.0.0/24", subnets={"nodes": "10.8.0.0/26", "pods": "10.8.0.128/25"})
    with serve(database, tmp_path, cloud=cloud) as live:
        yield filled(Terminal(UNIPAM_SERVER=f"http://127.0.0.1:{live.admin.port}", UNIPAM_TOKEN=live.admin.token))


def filled(terminal: Terminal) -> Terminal:
    for words in (
        ("space", "add", "prod", "--desc", "Production"),
        ("block", "add", "prod", "west", "10.0.0.0/8"),
        ("external", "add", "prod", "west", "dc", "--prefix", "10.0.0.0/16", "--desc", "data centre"),
        ("external", "subnet", "add", "prod", "west", "dc", "web", "--size", "28", "--desc", "web"),
    ):
        done = terminal.run(*words)
        assert done.exit_code == 0, (done.output, done.exception)
    return terminal


DC, WEB = ("prod", "west", "dc"), ("prod", "west", "dc", "web")


def test_several_are_made_at_once_and_listed(terminal: Terminal) -> None:
    made = terminal.rows("external", "subnet", "add", *DC, "db", "edge", "--size", "26", "--desc", "tiers")
    assert [(row["name"], row["cidr"]) for row in made] == [("db", "10.0.0.64/26"), ("edge", "10.0.0.128/26")]
    made = terminal.rows("external", "endpoint", "add", *WEB, "h1", "h2", "--desc", "hosts")
    assert [(row["name"], row["ip"]) for row in made] == [("h1", "10.0.0.1"), ("h2", "10.0.0.2")]
    lines = terminal.run("external", "subnet", "list", *DC).stdout.splitlines()
    assert lines[0].split() == ["NAME", "CIDR", "USE", "USED", "RESERVED", "FREE", "SIZE", "DESC"]
    assert lines[1].split() == ["web", "10.0.0.0/28", "12%", "2", "0", "14", "16", "web"]
    assert terminal.names("external", "subnet", "list", *DC, "--overlaps", "10.0.0.70") == ["db"]
    assert terminal.names("external", "list", "prod", "west") == ["dc"]
    as_yaml = yaml.safe_load(terminal.run("external", "endpoint", "list", *WEB, "-o", "yaml").stdout)
    assert as_yaml["items"] == terminal.rows("external", "endpoint", "list", *WEB)


def test_each_is_shown_changed_and_removed(terminal: Terminal) -> None:
    terminal.run("external", "endpoint", "add", *WEB, "vip", "--ip", "10.0.0.9", "--desc", "d")
    for words, change in (
        (("external", "{}", *DC), {"cidr": ("--prefix", "10.0.0.0/15")}),
        (("external", "subnet", "{}", *WEB), {"cidr": ("--prefix", "10.0.0.0/27")}),
        (("external", "endpoint", "{}", *WEB, "vip"), {"ip": ("--ip", "10.0.0.30")}),
    ):
        show, alter, remove = ([word.format(verb) for word in words] for verb in ("show", "change", "remove"))
        ((field, option),) = change.items()
        before = terminal.rows(*show)
        assert terminal.rows(*alter, *option, "--dry-run")[0][field] == option[1]
        assert terminal.run(*remove, *(["--force"] if field == "cidr" else []), "--dry-run").exit_code == 0
        assert terminal.rows(*show) == before
        assert terminal.rows(*alter, *option, "--desc", "new", "--reason", "ticket 7")[0][field] == option[1]
        assert terminal.rows(*show)[0]["desc"] == "new"
    assert {row["reason"] for row in terminal.rows("plan", "history", "--name", "vip")} == {"", "ticket 7"}
    assert "still holds the subnet web" in terminal.refused("external", "remove", *DC)
    assert terminal.run("external", "endpoint", "remove", *WEB, "vip").exit_code == 0
    assert terminal.run("external", "remove", *DC, "--force").exit_code == 0
    assert terminal.rows("external", "list", "prod", "west") == []


def test_what_is_free_is_what_is_given(terminal: Terminal) -> None:
    words = ("external", "free", *DC, "--size", "26")
    assert terminal.run(*words).stdout.splitlines()[1].split()[0] == "10.0.0.64/26"
    (offered,) = json.loads(terminal.run(*words, "--reverse", "-o", "json").stdout)["candidates"]
    wish = ("--size", "26", "--reverse", "--desc", "d")
    assert terminal.rows("external", "subnet", "add", *DC, "last", *wish)[0]["cidr"] == offered["cidr"]
    hosts = terminal.run("external", "subnet", "free", *WEB, "--count", "2").stdout.splitlines()
    assert [line.split()[0] for line in hosts[1:]] == ["10.0.0.1", "10.0.0.2"]


def test_what_makes_no_sense_is_said_in_one_line(terminal: Terminal) -> None:
    add = ("external", "subnet", "add", *DC)
    assert "give either --length or --prefix" in terminal.refused(*add, "x", "--desc", "d")
    assert "overlaps the subnet web" in terminal.refused(*add, "x", "--prefix", "10.0.0.8/29", "--desc", "d")
    assert "did you mean 10.0.1.0/24" in terminal.refused(*add, "x", "--prefix", "10.0.1.1/24", "--desc", "d")
    assert "no external named 'nope'" in terminal.refused("external", "show", "prod", "west", "nope")
    assert "names nothing" in terminal.refused("external", "show", "prod", "west", "")
    assert "names nothing" in terminal.refused("external", "remove", "prod", "", "dc")
    for several in (
        ("external", "add", "prod", "west", "a", "b", "--prefix", "10.9.0.0/16", "--desc", "d"),
        ("external", "endpoint", "add", *WEB, "a", "b", "--ip", "10.0.0.3", "--desc", "d"),
    ):
        done = terminal.run(*several)
        assert (done.exit_code, "is one place" in done.output) == (2, True)
    assert terminal.names("external", "subnet", "list", *DC) == ["web"]
    assert terminal.names("external", "list", "prod", "west") == ["dc"]


@pytest.mark.parametrize("terminal", ["server"], indirect=True)
def test_subnets_of_networks_are_shown_with_the_time_when_they_were_seen(terminal: Terminal) -> None:
    network = "/subscriptions/11111111-1111-4111-8111-111111111111/resourceGroups/rg/providers/Microsoft.Network"
    network += "/virtualNetworks/net"
    assert terminal.run("network", "add", "prod", "west", network).exit_code == 0
    heads, first, *_ = terminal.run("network", "subnets", "prod", "west").stdout.splitlines()
    assert heads.split() == ["NAME", "PREFIXES", "NETWORK", "USE", "USED", "SIZE", "KIND", "SEEN"]
    assert first.split()[:7] == ["nodes", "10.8.0.0/26", "net", "8%", "5", "64", "-"]
    assert terminal.names("network", "subnets", "prod", "west", "--overlaps", "10.8.0.200") == ["pods"]
    assert terminal.names("network", "subnets", "prod", "west", "--network", network) == ["nodes", "pods"]
    assert "not in the block" in terminal.refused("network", "subnets", "prod", "west", "--network", "/nope")


@pytest.mark.parametrize(
    ("typed", "offered"),
    [
        ("unipam ext", "external"),
        ("unipam external s", "subnet"),
        ("unipam external endpoint a", "add"),
        ("unipam external subnet add --sm", "--smallest"),
    ],
)
def test_the_shell_completes_them(
    typed: str, offered: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("_UNIPAM_COMPLETE", "bash_complete")
    monkeypatch.setenv("COMP_WORDS", typed)
    monkeypatch.setenv("COMP_CWORD", str(len(typed.split()) - 1))
    with pytest.raises(SystemExit):
        main([])
    assert f"plain,{offered}" in capsys.readouterr().out.splitlines()


@pytest.mark.parametrize("group", [(), ("subnet",), ("endpoint",)])
def test_every_command_shows_an_example(group: tuple[str, ...]) -> None:
    found: Any = unipam.get_command(None, "external")  # type: ignore[arg-type]
    for name in group:
        found = found.commands[name]
    for name in found.commands:
        told = CliRunner().invoke(unipam, ["external", *group, name, "--help"]).output
        assert f"unipam external {' '.join([*group, name])}" in told.split("Example", maxsplit=1)[1]
