"""Registers by name: which one a command finds, where tokens are kept, and signing in with Entra ID."""

from __future__ import annotations

import json
import os
import stat
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result
from tests.conftest import UNIPAM, items
from tests.fakes.entra_people import DEVICE, People, people
from tests.server.process import Process, clean_environment

from unipam.cli.main import unipam


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A user's configuration of the test's own; the file of contexts in it."""
    for name in list(os.environ):
        if name.startswith("UNIPAM_"):
            monkeypatch.delenv(name)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    return tmp_path / "config" / "unipam" / "contexts.json"


def run(*words: object, **env: str) -> Result:
    return CliRunner(env=env).invoke(unipam, [str(word) for word in words])


def register(place: Path, space: str) -> Path:
    database = place / f"{space}.db"
    assert run("register", "init", "--database", database).exit_code == 0
    assert run("space", "add", space, "--desc", "d", "--database", database).exit_code == 0
    return database


def spaces(*words: object, **env: str) -> list[str]:
    done = run("space", "list", "-o", "name", *words, **env)
    assert done.exit_code == 0, (done.output, done.exception)
    return done.stdout.split()


def test_commands_find_the_register_in_use(home: Path, tmp_path: Path) -> None:
    assert run("space", "list").exit_code == 2
    for name in ("one", "two"):
        assert run("context", "add", name, "--database", register(tmp_path, name)).exit_code == 0
    assert spaces() == ["one"], "the first one is in use"
    assert run("context", "use", "two").output == f"context two is in use: {tmp_path}/two.db\n"
    assert spaces() == ["two"]
    assert spaces("--context", "one") == spaces(UNIPAM_CONTEXT="one") == ["one"]
    assert spaces("--database", tmp_path / "one.db") == ["one"], "what is typed counts"
    assert spaces(UNIPAM_DATABASE=str(tmp_path / "one.db")) == ["one"], "and what the environment says"
    assert spaces("--context", "two", UNIPAM_DATABASE=str(tmp_path / "one.db")) == ["two"]
    listed = items(run("context", "list", "-o", "json").stdout)
    assert [(row["current"], row["name"]) for row in listed] == [("", "one"), ("*", "two")]
    assert run("context", "remove", "two").exit_code == 0
    assert run("space", "list").exit_code == 2
    assert "there is no context two: there are one" in str(run("context", "use", "two").exception)


def test_nobody_else_reads_the_tokens(home: Path) -> None:
    assert run("context", "add", "prod", "--server", "https://ipam", UNIPAM_TOKEN="a secret").exit_code == 0
    assert stat.S_IMODE(home.stat().st_mode) == 0o600
    assert stat.S_IMODE(home.parent.stat().st_mode) == 0o700
    assert "a secret" not in run("context", "list", "-o", "json").stdout
    home.chmod(0o640)
    done = run("context", "list")
    assert str(done.exception) == f"{home} holds tokens, and others may read it: chmod 600 {home}"
    home.chmod(0o600)
    home.write_text("{")
    assert "is no file of contexts" in str(run("space", "list").exception)


@pytest.mark.parametrize(
    "words", [(), ("--server", "ipam.example.com"), ("--server", "https://a", "--database", "b.db")]
)
def test_a_context_without_a_register_is_refused(home: Path, words: tuple[str, ...]) -> None:
    assert run("context", "add", "prod", *words).exit_code == 2
    assert not home.exists()


def test_tokens_are_in_the_keyring_where_that_is_wanted(home: Path, tmp_path: Path) -> None:
    backend = tmp_path / "backend.py"
    backend.write_text(
        "import json, os, keyring.backend, keyring.errors\n"
        "class Ring(keyring.backend.KeyringBackend):\n"
        "    priority = 1\n"
        "    def get_password(self, s, u): return json.load(open('ring')).get(u) if os.path.exists('ring') else None\n"
        "    def set_password(self, s, u, p): json.dump({u: p}, open('ring', 'w'))\n"
        "    def delete_password(self, s, u): json.dump({}, open('ring', 'w'))\n"
    )
    env = clean_environment() | {"PYTHON_KEYRING_BACKEND": "backend.Ring", "PYTHONPATH": str(tmp_path)}
    env |= {"UNIPAM_TOKEN": "a secret", "XDG_CONFIG_HOME": str(tmp_path)}
    add = [UNIPAM, "context", "add", "prod", "--server", "https://ipam", "--keyring"]
    subprocess.run(add, env=env, cwd=tmp_path, check=True, capture_output=True)
    assert "a secret" in (tmp_path / "ring").read_text()
    assert "a secret" not in (tmp_path / "unipam" / "contexts.json").read_text()


def test_without_a_keyring_it_says_what_to_install(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "keyring", None)
    done = run("context", "add", "prod", "--server", "https://ipam", "--keyring", UNIPAM_TOKEN="a secret")
    assert str(done.exception) == "--keyring needs the package keyring: pip install keyring"
    assert not home.exists()


@pytest.fixture
def directory(tmp_path: Path) -> Iterator[People]:
    with people(tmp_path) as served:
        yield served


class Person:
    """Somebody at a terminal: a configuration, a browser that goes where it is sent, and a register."""

    def __init__(self, place: Path, directory: People, register: Process) -> None:
        visit = place / "browser.py"
        visit.write_text("import sys, urllib.request\nurllib.request.urlopen(sys.argv[1])\n")
        self.env = clean_environment() | {
            "XDG_CONFIG_HOME": str(place / "config"),
            "SSL_CERT_FILE": directory.ca,
            "BROWSER": f"{sys.executable} {visit} %s",
        }
        self.file = place / "config" / "unipam" / "contexts.json"
        self.where = ("--tenant", directory.entra.tenant, "--client-id", directory.entra.client,
                      "--authority", directory.base)  # fmt: skip
        assert self.type("context", "add", "prod", "--server", f"http://127.0.0.1:{register.port}").returncode == 0

    def type(self, *words: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run([UNIPAM, *words], env=self.env, capture_output=True, text=True, check=False, timeout=60)

    @property
    def secret(self) -> dict[str, Any]:
        return dict(json.loads(self.file.read_text())["contexts"]["prod"]["secret"])


@pytest.fixture
def person(tmp_path: Path, directory: People) -> Iterator[Person]:
    entra = directory.entra
    serving = Process(str(tmp_path / "register.db"), tmp_path, "--tenant", entra.tenant, "--client-id", entra.client,
                      "--authority", directory.base, SSL_CERT_FILE=directory.ca)  # fmt: skip
    try:
        yield Person(tmp_path, directory, serving)
    finally:
        serving.end()


@pytest.mark.parametrize("way", [(), ("--device-code",)])
def test_a_person_signs_in_and_works(person: Person, directory: People, way: tuple[str, ...]) -> None:
    directory.typed = 2
    assert "a server wants a token" in person.type("space", "list").stderr
    done = person.type("login", *person.where, *way)
    assert (done.returncode, done.stdout) == (0, "signed in to prod\n"), done.stderr
    assert ("microsoft.com/devicelogin" if way else "sign in at https://127.0.0.1") in done.stderr
    assert directory.grants == [DEVICE] * 3 if way else ["authorization_code"]
    assert person.type("space", "list").stderr == "no spaces yet: unipam space add\n"
    assert person.type("login", *way).returncode == 0, "the tenant is known now"


def test_a_token_that_is_over_is_renewed_until_the_tenant_ends_it(person: Person, directory: People) -> None:
    directory.lasts = 30.0  # less than what counts as over
    assert person.type("login", *person.where, "--device-code").returncode == 0
    first = person.secret["refresh"]
    assert person.type("space", "list").returncode == 0
    assert directory.grants[-1] == "refresh_token"
    assert person.secret["refresh"] != first
    directory.forget()
    done = person.type("space", "list")
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == (
        "Error: Entra ID refused to sign in: AADSTS700082: The refresh token has expired.:"
        " unipam login --context prod\n"
    )


@pytest.mark.parametrize(
    ("way", "why"),
    [((), "AADSTS65004: User declined to consent."), (("--device-code",), "AADSTS70020: The user declined.")],
)
def test_a_refusal_is_told_and_nothing_is_kept(
    person: Person, directory: People, way: tuple[str, ...], why: str
) -> None:
    directory.refuses = True
    before = person.file.read_text()
    done = person.type("login", *person.where, *way)
    assert (done.returncode, done.stderr.splitlines()[-1]) == (1, f"Error: Entra ID refused to sign in: {why}")
    assert person.file.read_text() == before


def test_who_is_nobody_cannot_end_the_wait(person: Person, directory: People, tmp_path: Path) -> None:
    """Another page of the same browser does not know the state."""
    (tmp_path / "browser.py").write_text(
        "import sys, urllib.error, urllib.parse, urllib.request\n"
        "back = urllib.parse.parse_qs(urllib.parse.urlsplit(sys.argv[1]).query)['redirect_uri'][0]\n"
        "try:\n"
        "    urllib.request.urlopen(back + '?code=stolen&state=guessed')\n"
        "except urllib.error.HTTPError as error:\n"
        "    assert error.code == 400\n"
        "    urllib.request.urlopen(sys.argv[1])\n"
    )
    assert person.type("login", *person.where).stdout == "signed in to prod\n"
    assert directory.grants == ["authorization_code"]
