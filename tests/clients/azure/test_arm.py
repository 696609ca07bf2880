"""The Resource Manager's client: pages, pauses, and every way in which an answer can be wrong."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path

import msgspec
import pytest
from tests.clients.azure.conftest import HandedToken, SetClock
from tests.fakes.azure import FakeAzure, azure, resource_id

from unipam.clients.azure.arm import REPEATS, Arm
from unipam.clients.azure.pace import UNTOLD
from unipam.clients.azure.settings import Settings
from unipam.model.errors import SourceFailed

VERSION = "2024-05-01"


class Named(msgspec.Struct):
    name: str


@pytest.fixture
def networks(fake: FakeAzure) -> str:
    """The path of a list of five virtual networks."""
    subscription = fake.subscribe()
    for number in range(5):
        fake.vnet(subscription, f"v{number}", f"10.{number}.0.0/16")
    return resource_id(subscription, "Microsoft.Network/virtualNetworks")


def names(arm: Arm, path: str) -> list[str]:
    return [row.name for row in arm.every(path, VERSION, list[Named])]


FIVE = ["v0", "v1", "v2", "v3", "v4"]


@pytest.mark.parametrize("page", [1, 2, 5, 100])
def test_a_list_is_read_to_its_end(arm: Arm, fake: FakeAzure, networks: str, page: int) -> None:
    fake.arm.page = page
    assert names(arm, networks) == FIVE
    assert len(fake.asked("virtualNetworks")) == -(-5 // page)


def test_an_empty_page_is_not_the_end(arm: Arm, fake: FakeAzure, networks: str) -> None:
    fake.arm.empty_first_page = True
    assert names(arm, networks) == FIVE


@pytest.mark.parametrize("empty", [None, ""])
def test_an_empty_link_is_the_end(arm: Arm, fake: FakeAzure, networks: str, empty: str | None) -> None:
    fake.say("virtualNetworks", 200, {"value": [{"name": "only"}], "nextLink": empty})
    assert names(arm, networks) == ["only"]


def test_the_token_is_not_sent_to_another_host(arm: Arm, fake: FakeAzure, networks: str, tmp_path: Path) -> None:
    (tmp_path / "other").mkdir()
    with azure(tmp_path / "other") as other:
        fake.arm.page, fake.arm.next_host = 2, other.base
        with pytest.raises(SourceFailed, match="the token is not sent there"):
            names(arm, networks)
        assert other.calls == []


@pytest.mark.parametrize("link", ["...", "http://127.0.0.1/x", "a://example.com/aaaa"])
def test_a_link_that_leads_nowhere_is_an_error(arm: Arm, fake: FakeAzure, networks: str, link: str) -> None:
    fake.say("virtualNetworks", 200, {"value": [], "nextLink": link})
    with pytest.raises(SourceFailed, match="goes on at"):
        names(arm, networks)


def test_retry_after_is_obeyed(arm: Arm, fake: FakeAzure, networks: str, clock: SetClock) -> None:
    fake.throttle("virtualNetworks", "17", times=2)
    assert names(arm, networks) == FIVE
    assert clock.now == 1000.0 + 2 * 17


def test_a_pause_holds_for_everybody(arm: Arm, fake: FakeAzure, networks: str, clock: SetClock) -> None:
    fake.say("virtualNetworks", 503, headers={"Retry-After": "30"}, times=REPEATS + 1)
    with pytest.raises(SourceFailed):
        names(arm, networks)
    before = clock.now
    assert names(arm, networks) == FIVE
    assert clock.now == before + 30


def test_too_many_without_a_pause_is_a_pause_all_the_same(
    arm: Arm, fake: FakeAzure, networks: str, clock: SetClock
) -> None:
    fake.throttle("virtualNetworks", None)
    assert names(arm, networks) == FIVE
    assert clock.slept == [UNTOLD]


@pytest.mark.parametrize("pause", ["10", "600", "", "Fri, 27 Nov 2026 12:00:00 GMT"])
@pytest.mark.parametrize("status", [409, 429])
def test_a_resource_that_is_busy_holds_back_nobody_else(
    arm: Arm, fake: FakeAzure, networks: str, clock: SetClock, status: int, pause: str
) -> None:
    """429, and yet no limit (fixtures' README, "Codes"): who asked for it waits, for as long as was said."""
    busy = {"error": {"code": "RetryableErrorDueToAnotherOperation", "message": "Another operation is in progress."}}
    fake.say("routeTables", status, busy, headers={"Retry-After": pause} if pause else {})
    with pytest.raises(SourceFailed) as caught:
        arm.request("PUT", networks.replace("virtualNetworks", "routeTables/rt"), VERSION, body={})
    assert caught.value.facts["code"] == "RetryableErrorDueToAnotherOperation"
    assert caught.value.facts.get("retry_after") == (float(pause) if pause.isdigit() else None)
    assert names(arm, networks) == FIVE
    assert clock.slept == []


def test_a_very_long_pause_is_not_waited_for(arm: Arm, fake: FakeAzure, networks: str, clock: SetClock) -> None:
    fake.throttle("virtualNetworks", "1200")
    for _ in range(2):
        with pytest.raises(SourceFailed, match="1200 s") as caught:
            names(arm, networks)
        assert caught.value.facts["retry_after"] == pytest.approx(1200)
    assert clock.slept == []
    assert len(fake.asked("virtualNetworks")) == 1, "it was asked again within the pause"


def test_refusals_without_end_are_given_up(arm: Arm, fake: FakeAzure, networks: str) -> None:
    fake.throttle("virtualNetworks", "3", times=100)
    with pytest.raises(SourceFailed) as caught:
        names(arm, networks)
    assert (caught.value.facts["status"], caught.value.facts["retry_after"]) == (429, 3.0)
    assert caught.value.facts["code"] == "TooManyRequests"
    assert len(fake.asked("virtualNetworks")) == REPEATS + 1


def test_a_fault_that_passes_is_not_seen(arm: Arm, fake: FakeAzure, networks: str) -> None:
    fake.say("virtualNetworks", 502, b"<html>Bad Gateway</html>", times=2)
    assert names(arm, networks) == FIVE


@pytest.mark.parametrize(
    ("status", "body", "code", "says"),
    [
        (403, {"error": {"code": "AuthorizationFailed", "message": "no right"}}, "AuthorizationFailed", "no right"),
        (409, {"code": "OperationNotAllowed", "message": "quota"}, "OperationNotAllowed", "quota"),
        (400, {"error": {"code": "X", "message": "y", "details": [], "innererror": {}}}, "X", "y"),
        (400, {"error": "invalid_request", "error_description": "said plainly"}, "invalid_request", "said plainly"),
        (404, b"<html>\n<b>gone</b></html>", "", "<b>gone</b>"),
        (403, b"", "", "403"),
        (403, b"{}", "", "403"),
        (403, b"[]", "", r"\[\]"),
        (400, b"\xff\xfe", "", "400"),
    ],
)
def test_every_shape_of_error_is_told(
    arm: Arm, fake: FakeAzure, networks: str, *, status: int, body: object, code: str, says: str
) -> None:
    fake.say("virtualNetworks", status, body)
    with pytest.raises(SourceFailed, match=says) as caught:
        names(arm, networks)
    assert (caught.value.facts["status"], caught.value.facts["code"]) == (status, code)
    assert caught.value.facts["request"], "without the request's id nobody at Azure can look it up"


@pytest.mark.parametrize(
    "body", [b"", b"no JSON", b'{"value": 3}', b'{"value": [{"name": 1}]}', b'{"value": [{}]}', b"[]", b"\xff"]
)
def test_an_answer_of_another_shape_is_an_error(arm: Arm, fake: FakeAzure, networks: str, body: bytes) -> None:
    fake.say("virtualNetworks", 200, body)
    with pytest.raises(SourceFailed, match="is not what it should be"):
        names(arm, networks)


def test_a_redirect_is_not_followed(arm: Arm, fake: FakeAzure, networks: str) -> None:
    fake.say("virtualNetworks", 302, headers={"Location": "https://example.com/"})
    with pytest.raises(SourceFailed, match="302"):
        names(arm, networks)


def test_a_token_that_is_no_good_is_refused(fake: FakeAzure, settings: Settings, networks: str) -> None:
    with closing(Arm(settings, HandedToken("nonsense"), SetClock().time)) as arm, pytest.raises(SourceFailed) as caught:
        names(arm, networks)
    assert (caught.value.facts["status"], caught.value.facts["code"]) == (401, "InvalidAuthenticationToken")


def test_a_server_that_nobody_vouches_for_gets_no_token(
    fake: FakeAzure, settings: Settings, networks: str, tmp_path: Path
) -> None:
    (tmp_path / "other").mkdir()
    with azure(tmp_path / "other") as other:
        strangers = settings._replace(ca_file=other.ca)
    token = HandedToken(fake.entra.token(fake.base, fake.entra.principal))
    with closing(Arm(strangers, token, SetClock().time)) as arm, pytest.raises(SourceFailed, match="did not answer"):
        names(arm, networks)
    assert fake.calls == []


def test_nobody_at_home(settings: Settings, networks: str, fake: FakeAzure, clock: SetClock) -> None:
    token = HandedToken(fake.entra.token(fake.base, fake.entra.principal))
    fake.close()
    with closing(Arm(settings, token, clock.time)) as arm, pytest.raises(SourceFailed, match="did not answer GET /sub"):
        names(arm, networks)
    assert clock.slept, "it was tried once only"


def test_an_id_cannot_lead_elsewhere(arm: Arm, fake: FakeAzure) -> None:
    fake.subscribe()
    with pytest.raises(SourceFailed):
        arm.get("@example.com/x?y=z#", VERSION, Named)
    assert [call.path for call in fake.calls] == ["/@example.com/x?y=z#"]
