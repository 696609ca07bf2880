"""`unipam server` as a process: what its options and variables lead to."""

from __future__ import annotations

import contextlib
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from tests.fakes.azure import azure
from tests.server.live import Client
from tests.server.process import UNIPAM, Process, clean_environment

from unipam.plan.access.tokens import make_text

Start = Callable[..., Process]


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    """Registers of a test's own on one SQLite file; afterwards they are ended."""
    with contextlib.ExitStack() as running:

        def start(*options: str, **variables: str) -> Process:
            process = Process(str(tmp_path / "register.db"), tmp_path, *options, **variables)
            running.callback(process.end)
            return process

        yield start


def names(client: Client) -> list[str]:
    return [row["name"] for row in client.get("/azure/vnet").json]


def test_azure_is_found_by_the_variables_that_workload_identity_sets(start: Start, tmp_path: Path) -> None:
    with azure(tmp_path) as fake:
        fake.vnet(fake.subscribe(), "net", "10.0.0.0/24")
        token_file = tmp_path / "federated"
        token_file.write_text("a token of the cluster")
        fake.entra.federated.add("a token of the cluster")
        register = start(
            "--azure", AZURE_TENANT_ID=fake.entra.tenant, AZURE_CLIENT_ID=fake.entra.client,
            AZURE_FEDERATED_TOKEN_FILE=str(token_file), AZURE_AUTHORITY_HOST=f"{fake.base}/",
            UNIPAM_AZURE_ENDPOINT=fake.base, UNIPAM_AZURE_CA_FILE=fake.ca,
        )  # fmt: skip
        assert names(register.client) == ["net"]
        person = register.client.as_(fake.entra.user_token("ann"))
        assert person.get("/spaces").status == 401  # they say as whom to look, never who may sign in


def test_people_sign_in_where_azure_does_unless_told_otherwise(start: Start, tmp_path: Path) -> None:
    with azure(tmp_path) as fake:
        entra, mine = fake.entra, fake.subscribe("mine")
        fake.vnet(mine, "net", "10.0.0.0/24")
        fake.grant("ann", mine)
        secret = tmp_path / "secret"
        secret.write_text(entra.secret)
        register = start(
            "--azure", "--tenant", entra.tenant, "--client-id", entra.client, "--client-secret-file", str(secret),
            AZURE_CLIENT_ID="of somebody else", AZURE_AUTHORITY_HOST=fake.base, UNIPAM_AZURE_ENDPOINT=fake.base,
            UNIPAM_AZURE_CA_FILE=fake.ca,
        )  # fmt: skip
        assert names(register.client.as_(entra.user_token("ann"))) == ["net"]
        assert names(register.client.as_(entra.user_token("bob"))) == []


def fail(register: Process, forwarded: str) -> int:
    """The status of a sign-in that fails, by a proxy that says for whom it asks."""
    return register.client.as_("wrong").ask("GET", "/spaces", None, {"X-Forwarded-For": forwarded}).status


def test_callers_behind_a_proxy_are_told_apart(start: Start) -> None:
    register = start("--failures", "2")
    assert [fail(register, "192.0.2.1") for _ in range(3)] == [401, 401, 429]
    assert fail(register, "192.0.2.2") == 401
    assert fail(register, "made-up, 192.0.2.1") == 429  # a proxy that appends: what the caller wrote does not count
    assert "too many failed sign-ins from 192.0.2.1" in register.client.as_("wrong").ask(
        "GET", "/spaces", None, {"X-Forwarded-For": "192.0.2.1"}
    ).error  # fmt: skip


def test_who_is_no_proxy_speaks_for_itself(start: Start) -> None:
    register = start("--failures", "2", FORWARDED_ALLOW_IPS="192.0.2.0/24, 2001:db8::1")
    assert [fail(register, f"192.0.2.{n}") for n in range(3)] == [401, 401, 429]


def test_everybody_is_believed_only_where_it_is_meant(start: Start, tmp_path: Path) -> None:
    command = [UNIPAM, "server", "--database", str(tmp_path / "r.db")]
    environment = clean_environment() | {"FORWARDED_ALLOW_IPS": "*"}
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=environment, timeout=60)
    assert done.returncode == 2
    assert "--trust-every-proxy" in done.stderr
    register = start("--failures", "2", "--trust-every-proxy", FORWARDED_ALLOW_IPS="*")
    assert [fail(register, f"198.51.100.{n}, 192.0.2.1") for n in range(3)] == [401] * 3


def test_the_first_administrator_has_the_token_that_was_given(start: Start, tmp_path: Path) -> None:
    """As a mounted secret is; and what is never printed cannot be read in a log."""
    secret = tmp_path / "token"  # where `Process` looks for it
    make = [UNIPAM, "register", "token", "make"]
    secret.write_text(subprocess.run(make, capture_output=True, text=True, check=True).stdout)
    register = start("--admin-token-file", "", "--admin-token-from", str(secret))
    assert register.client.get("/spaces").status == 200
    text = secret.read_text().strip()
    assert text.encode() not in (tmp_path / "register.db").read_bytes()
    assert text.split("_", 2)[2] not in register.said
    register.end()
    secret.rename(tmp_path / "kept")  # a secret may be taken away once its token is replaced
    again = start("--admin-token-file", "", "--admin-token-from", str(secret))
    assert Client(again.port, text).get("/spaces").status == 200


@pytest.mark.parametrize("text", [None, "", "hunter2", "unipam_0123456789ab_short"])
def test_a_first_token_that_is_none_ends_the_first_start(tmp_path: Path, text: str | None) -> None:
    secret = tmp_path / "token"
    if text is not None:
        secret.write_text(text)
    database = tmp_path / "r.db"
    command = [UNIPAM, "server", "--database", str(database), "--admin-token-from", str(secret)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=clean_environment(), timeout=60)
    assert (done.returncode, "unipam register token make" in done.stderr) == (1, True), done
    assert not text or text not in done.stderr
    secret.write_text(make_text())
    process = Process(str(database), tmp_path, "--admin-token-file", "", "--admin-token-from", str(secret))
    try:
        assert process.client.get("/spaces").status == 200
    finally:
        process.end()


@pytest.mark.parametrize(
    ("option", "wrong", "hint"),
    [
        ("--trusted-proxies", "10.0.0.1/8", "did you mean 10.0.0.0/8?"),
        ("--trusted-proxies", "ingress", "invalid CIDR address: ingress"),
        ("--azure-environment", "NOWHERE", "'NOWHERE' is not one of AZURE_PUBLIC"),
    ],
)
def test_what_makes_no_sense_is_refused_before_anything_is_made(
    option: str, wrong: str, hint: str, tmp_path: Path
) -> None:
    command = [UNIPAM, "server", "--database", str(tmp_path / "r.db"), option, wrong]
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=clean_environment(), timeout=60)
    assert (done.returncode, hint in done.stderr, "Traceback" in done.stderr) == (1, True, False), done.stderr
    assert not (tmp_path / "r.db").exists()
