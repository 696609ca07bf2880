"""The real azure-identity against the fake's token endpoints, and what its tokens are good for."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest
from tests.clients.azure.conftest import SetClock
from tests.fakes.azure import FakeAzure

from unipam.clients.azure import credentials
from unipam.clients.azure.arm import Arm
from unipam.clients.azure.read.subscriptions import PATH, VERSION, SubscriptionRow
from unipam.clients.azure.settings import Settings
from unipam.model.errors import BadConfig, SourceFailed


@pytest.fixture(autouse=True)
def _no_identity_of_the_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in (
        "IDENTITY_ENDPOINT",
        "MSI_ENDPOINT",
        "AZURE_FEDERATED_TOKEN_FILE",
        "AZURE_CLIENT_ID",
        "AZURE_TENANT_ID",
    ):
        monkeypatch.delenv(name, raising=False)


@contextmanager
def seen_by(settings: Settings, user: str = "") -> Iterator[list[str]]:
    """The names of the subscriptions that a credential shows."""
    credential = credentials.on_behalf_of(settings, user) if user else credentials.own(settings)
    with closing(Arm(settings, credential, SetClock().time)) as arm:
        yield [row.name for row in arm.every(PATH, VERSION, list[SubscriptionRow])]


def test_an_application_signs_in_with_its_secret(fake: FakeAzure, settings: Settings) -> None:
    fake.subscribe("prod")
    with seen_by(settings) as names:
        assert names == ["prod"]
    assert fake.entra.grants == ["client_credentials"]


def test_a_workload_signs_in_with_the_token_of_its_file(fake: FakeAzure, settings: Settings, tmp_path: Path) -> None:
    fake.subscribe("prod")
    file = tmp_path / "token"
    file.write_text("federated by the cluster")
    fake.entra.federated.add("federated by the cluster")
    with seen_by(settings._replace(secret="", token_file=str(file))) as names:
        assert names == ["prod"]
    file.write_text("something else")
    with (
        pytest.raises(SourceFailed, match="no token for Azure"),
        seen_by(settings._replace(secret="", token_file=str(file))),
    ):
        pass


def test_a_machine_needs_no_secret(fake: FakeAzure, settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    fake.subscribe("prod")
    monkeypatch.setenv("AZURE_POD_IDENTITY_AUTHORITY_HOST", fake.machine)
    with seen_by(settings._replace(secret="", client="")) as names:
        assert names == ["prod"]
    assert fake.entra.grants == ["managed_identity"]


def test_a_wrong_secret_is_said_to_be_wrong(settings: Settings) -> None:
    with pytest.raises(SourceFailed, match="AADSTS7000215") as caught, seen_by(settings._replace(secret="wrong")):
        pass
    assert caught.value.facts["source"] == "entra"


def test_on_behalf_of_a_person_only_theirs_is_seen(fake: FakeAzure, settings: Settings) -> None:
    fake.subscribe("prod")
    fake.grant("bob", fake.subscribe("bobs"))
    with seen_by(settings, fake.entra.user_token("bob")) as names:
        assert names == ["bobs"]
    with seen_by(settings, fake.entra.user_token("eve")) as names:
        assert names == []


def test_on_behalf_of_a_person_with_a_federated_token(fake: FakeAzure, settings: Settings, tmp_path: Path) -> None:
    fake.grant("bob", fake.subscribe("bobs"))
    (tmp_path / "token").write_text("federated\n")
    fake.entra.federated.add("federated")
    with seen_by(
        settings._replace(secret="", token_file=str(tmp_path / "token")), fake.entra.user_token("bob")
    ) as names:
        assert names == ["bobs"]


def test_a_persons_token_that_is_over_serves_no_more(fake: FakeAzure, settings: Settings) -> None:
    with pytest.raises(SourceFailed, match="AADSTS500133"), seen_by(settings, fake.entra.user_token("bob", lasts=-60)):
        pass


def test_a_token_for_somebody_else_is_not_taken(fake: FakeAzure, settings: Settings) -> None:
    with pytest.raises(SourceFailed, match="AADSTS50013"), seen_by(settings, fake.entra.token("api://other", "bob")):
        pass


def test_a_managed_identity_cannot_act_for_people(settings: Settings) -> None:
    with pytest.raises(BadConfig, match="a managed identity cannot"):
        credentials.on_behalf_of(settings._replace(secret=""), "token")


def test_a_token_file_that_is_not_there_is_named(settings: Settings, tmp_path: Path) -> None:
    missing = settings._replace(secret="", token_file=str(tmp_path / "missing"))
    for user in ("", "a person's token"):
        with pytest.raises(SourceFailed, match=r"no token for Azure.*missing") as caught, seen_by(missing, user):
            pass
        assert caught.value.facts["source"] == "entra"


def test_a_tenant_that_there_is_not(settings: Settings) -> None:
    nowhere = settings._replace(tenant="00000000-0000-4000-8000-000000000000")
    for user in ("", "a person's token"):
        with pytest.raises(SourceFailed, match="no token for Azure"), seen_by(nowhere, user):
            pass


def test_a_token_endpoint_that_talks_nonsense(fake: FakeAzure, settings: Settings) -> None:
    fake.say("oauth2/v2.0/token", 200, b"<html>", times=10)
    with pytest.raises(SourceFailed, match="no token for Azure"), seen_by(settings):
        pass
