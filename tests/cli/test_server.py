"""`unipam server` as a process: what its options and variables lead to."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from tests.fakes.azure import azure
from tests.server.live import Client
from tests.server.process import Process

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
