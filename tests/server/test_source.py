"""The register beside a whole Azure on loopback: people see by HTTP what Azure lets them see, and how old it is."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from tests.fakes.azure import FakeAzure, azure

from unipam.clients.azure.settings import Settings
from unipam.model.errors import SourceFailed
from unipam.server.source import connect
from unipam.service.cloud_cache import CachedCloud


@pytest.fixture
def fake(tmp_path: Path) -> Iterator[FakeAzure]:
    with azure(tmp_path) as running:
        yield running


@pytest.fixture
def cloud(fake: FakeAzure) -> Iterator[CachedCloud]:
    fake.vnet(fake.subscribe("prod"), "v1", "10.0.0.0/16")
    entra = fake.entra
    settings = Settings(
        entra.tenant, entra.client, entra.secret, authority=fake.base, endpoint=fake.base, ca_file=fake.ca
    )
    with closing(connect(settings, every=3600)) as running:
        yield running


def test_the_register_sees_what_its_identity_may_read(cloud: CachedCloud) -> None:
    assert [n.name for n in cloud.snapshot().networks.values()] == ["v1"]


def test_a_person_sees_what_azure_lets_them_see(cloud: CachedCloud, fake: FakeAzure) -> None:
    fake.vnet(bobs := fake.subscribe("bobs"), "v2", "10.1.0.0/16")
    fake.grant("bob", bobs)
    assert [n.name for n in cloud.visible_to(fake.entra.user_token("bob")).networks.values()] == ["v2"]
    assert dict(cloud.visible_to(fake.entra.user_token("eve")).networks) == {}
    with pytest.raises(SourceFailed, match="AADSTS50013"):
        cloud.visible_to("no token at all")
