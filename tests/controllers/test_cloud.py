"""Azure as the controllers of a process ask it: threads, one budget, and what waits is told."""

from __future__ import annotations

import json
import threading
from pathlib import Path
from typing import Any

import pytest
from azure.core.credentials import AccessTokenInfo, TokenRequestOptions
from tests.clients.azure.conftest import HandedToken
from tests.fakes.azure import azure, resource_id

from unipam.clients.azure.arm import Arm
from unipam.clients.azure.pace import Time
from unipam.clients.azure.settings import Settings
from unipam.clients.azure.write.budget import Budget
from unipam.clients.azure.write.jobs import WRITTEN, Ask, Job, Pause
from unipam.clients.azure.write.route_tables import Table, read, replace
from unipam.controllers import cloud as under_test
from unipam.controllers.cloud import Cloud
from unipam.controllers.term import Term
from unipam.model.errors import SourceFailed


def test_jobs_are_done_over_tls_and_no_write_begins_after_the_term(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(under_test, "_LATE", -1.0)
    monkeypatch.setattr(under_test, "_LONGEST_WAIT", 0.05)
    with azure(tmp_path) as fake:
        table = resource_id(fake.subscribe(), "Microsoft.Network/routeTables/rt")
        fake.arm.put(table, {"routes": []}, location="westeurope")
        entra = fake.entra
        settings = Settings(
            entra.tenant, entra.client, entra.secret, authority=fake.base, endpoint=fake.base, ca_file=fake.ca
        )
        cloud = Cloud(Arm(settings, HandedToken(entra.token(fake.base, entra.principal))), Budget)
        term = Term(60.0)
        cloud.lead(term)

        def done(job: Job[Any]) -> Any:
            came, results = threading.Event(), []
            cloud.start("table", job, lambda result: (results.append(result), came.set()))
            assert came.wait(20)
            return results[0]

        def after(job: Job[Any]) -> Job[Any]:
            yield Pause(0.3, "the test waits")
            return (yield from job)

        before = done(after(read(table)))
        assert cloud.waiting() == []
        cloud.start("slow", after(read(table)), lambda _: None)
        (waits,) = cloud.waiting()
        assert (waits["job"], waits["why"]) == ("slow", "the test waits")
        assert isinstance(before, Table)
        written = done(replace(table, before, []))
        assert isinstance(written, Table)
        assert written.etag != before.etag
        term.end()
        refused = done(replace(table, written, []))
        assert isinstance(refused, SourceFailed)
        assert "leads no more" in str(refused)
        assert [call.method for call in fake.calls].count("PUT") == 1
        cloud.close()
        cloud.close()
    told = [json.loads(line) for line in capfd.readouterr().err.splitlines()]
    assert {"azure jobs wait"} == {each["event"] for each in told}
    assert told[0]["first"][0]["why"] == "the test waits"


def test_whatever_goes_wrong_on_the_way_is_answered(tmp_path: Path) -> None:
    """A link that is no link: the job hears of it, and does not wait for ever."""
    with azure(tmp_path) as fake:
        entra = fake.entra
        settings = Settings(
            entra.tenant, entra.client, entra.secret, authority=fake.base, endpoint=fake.base, ca_file=fake.ca
        )
        cloud = Cloud(Arm(settings, HandedToken(entra.token(fake.base, entra.principal))), Budget)
        came, results = threading.Event(), list[Any]()

        def followed() -> Job[Any]:
            return (yield Ask(link="https://[broken/operations/1", follows=True))

        cloud.start("link", followed(), lambda result: (results.append(result), came.set()))
        assert came.wait(20)
        cloud.close()
    assert isinstance(results[0], SourceFailed)
    assert "GET https://[broken/operations/1: defect: ValueError" in str(results[0])


@pytest.mark.parametrize("held_up", ["by its token", "by a pause"])
def test_a_write_that_is_held_up_until_the_term_has_ended_is_not_sent(tmp_path: Path, held_up: str) -> None:
    """Another process leads by then, and does not know of it."""
    term = Term(60.0)

    class Slow(HandedToken):
        def get_token_info(self, *scopes: str, options: TokenRequestOptions | None = None) -> AccessTokenInfo:
            if held_up == "by its token":
                term.end()
            return super().get_token_info(*scopes, options=options)

    with azure(tmp_path) as fake:
        table = resource_id(fake.subscribe(), "Microsoft.Network/routeTables/rt")
        entra = fake.entra
        settings = Settings(
            entra.tenant, entra.client, entra.secret, authority=fake.base, endpoint=fake.base, ca_file=fake.ca
        )
        slow = Slow(entra.token(fake.base, entra.principal))
        arm = Arm(settings, slow, Time(sleep=lambda _: term.end()))
        if held_up == "by a pause":
            fake.throttle("nothing", "60")
            with pytest.raises(SourceFailed, match="429"):
                arm.request("GET", f"{table}/nothing", "2024-05-01", repeat=False)
        cloud = Cloud(arm, Budget)
        cloud.lead(term)
        came, results = threading.Event(), list[Any]()

        def written() -> Job[Any]:
            return (yield Ask("PUT", table, "2024-05-01", {"properties": {"routes": []}}, expect=WRITTEN))

        cloud.start("write", written(), lambda result: (results.append(result), came.set()))
        assert came.wait(20)
        cloud.close()
    assert "leads no more" in str(results[0])
    assert [call.method for call in fake.calls if call.method == "PUT"] == []


def test_a_request_that_cannot_even_be_sent_fails_its_job() -> None:
    """Whatever it is that nobody foresaw: a job that is never answered is under way for ever."""

    class Broken:
        def request(self, *_: object, **__: object) -> None:
            raise UnicodeEncodeError("latin-1", "\u20ac", 0, 1, "in a header")

        def close(self) -> None:
            """Nothing to let go of."""

    cloud, came, results = Cloud(Broken(), Budget), threading.Event(), []  # type: ignore[arg-type]
    try:
        cloud.start("table", read("/subscriptions/s/t"), lambda result: (results.append(result), came.set()))
        assert came.wait(20)
    finally:
        cloud.close()
    assert "UnicodeEncodeError" in results[0].message
