"""The register beside a whole Azure on loopback, by HTTP: the original's own steps, and each person's view of Azure."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from contextlib import closing
from pathlib import Path

import pytest
from tests.fakes.azure import FakeAzure, azure
from tests.server import test_azure_steps as steps
from tests.server.live import Client, Live, serve

from unipam.clients.azure.settings import Settings
from unipam.model.cloud import Snapshot
from unipam.plan.cloud.cache import CachedCloud
from unipam.server.entra import Directory
from unipam.server.source import connect


class AzureCloud:
    """The register's real cloud. A test that changed Azure need not wait for the next look in the background."""

    def __init__(self, fake: FakeAzure, cached: CachedCloud) -> None:
        self.fake = fake
        self.subscription = fake.subscribe("prod")
        self._cached = cached
        self._changed = 0.0

    def snapshot(self, *, newer_than: float = 0.0) -> Snapshot:
        return self._cached.snapshot(newer_than=max(newer_than, self._changed))

    def visible_to(self, credential: str, *, newer_than: float = 0.0) -> Snapshot:
        return self._cached.visible_to(credential, newer_than=newer_than)

    def close(self) -> None:
        """The cache is closed by whoever made it."""

    def put(
        self, name: str, *prefixes: str, subnets: Mapping[str, str] | None = None, tags: Mapping[str, str] | None = None
    ) -> str:
        made = self.fake.vnet(self.subscription, name, *prefixes, subnets=subnets or {}, tags=tags or {}, group="rg")
        self._changed = time.time()
        return made


@pytest.fixture
def live(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Live]:
    """A register that signs people in by the fake's Entra ID and looks at its Resource Graph."""
    steps.be_app_service(monkeypatch)
    with azure(tmp_path) as fake:
        entra = fake.entra
        settings = Settings(
            entra.tenant, entra.client, entra.secret, authority=fake.base, endpoint=fake.base, ca_file=fake.ca
        )
        directory = Directory(entra.tenant, entra.client, fake.base, fake.ca)
        with closing(connect(settings, every=3600)) as cached:
            cloud = AzureCloud(fake, cached)
            with serve(str(tmp_path / "register.db"), tmp_path, cloud=cloud, directory=directory) as running:
                yield running


@pytest.fixture
def cloud(live: Live) -> AzureCloud:
    assert isinstance(live.cloud, AzureCloud)
    return live.cloud


def person(live: Live, cloud: AzureCloud, oid: str) -> Client:
    """Somebody signed in by Entra ID."""
    return Client(live.admin.port, cloud.fake.entra.user_token(oid, f"{oid}@example.com"))


def names(client: Client, listing: str) -> list[str]:
    answer = client.get(f"/azure/{listing}")
    assert answer.status == 200, answer.body
    return sorted(row["name"] for row in answer.json)


def test_the_original_suite_passes(live: Live) -> None:
    steps.follow(live)


def test_people_see_what_azure_lets_them_see(live: Live, cloud: AzureCloud) -> None:
    cloud.put("v1", "10.0.0.0/16", subnets={"a": "10.0.0.0/24"})
    bobs = cloud.fake.subscribe("bobs")
    cloud.fake.vnet(bobs, "v2", "10.1.0.0/16")
    cloud.fake.grant("bob", bobs)
    bob, eve = person(live, cloud, "bob"), person(live, cloud, "eve")
    assert (names(bob, "vnet"), names(bob, "subnet"), names(bob, "subscription")) == (["v2"], [], ["bobs"])
    assert names(eve, "vnet") == []
    assert (names(live.admin, "vnet"), names(live.admin, "subnet")) == (["v1", "v2"], ["a"])


def test_the_age_of_what_is_shown_is_told(live: Live, cloud: AzureCloud) -> None:
    cloud.put("v1", "10.0.0.0/16")
    answer = live.admin.get("/azure/vnet")
    assert int(answer.headers["Age"]) >= 0


def test_azure_out_of_order_is_no_fault_of_the_register(live: Live, cloud: AzureCloud) -> None:
    cloud.put("v1", "10.0.0.0/16")
    assert names(live.admin, "vnet") == ["v1"]
    cloud.fake.throttle("resourcegraph", "600", times=1000)
    bob = person(live, cloud, "bob")
    cloud.fake.grant("bob", cloud.subscription)
    assert bob.get("/azure/vnet").status in {429, 502, 503}
    assert names(live.admin, "vnet") == ["v1"], "the last snapshot serves"
