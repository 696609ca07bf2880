"""The directory's signing keys: while it says nothing, and when what it says makes no sense."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from tests.faults.proxy import Proxy, proxy
from tests.server.directory import CLIENT, TENANT, Entra, signing_in
from tests.server.live import Live

from unipam.server import auth
from unipam.server.entra import Directory, fetch_keys


@pytest.fixture
def between(entra: Entra) -> Iterator[Proxy]:
    """A proxy before the directory, whose name is the proxy's from now on."""
    with proxy(urlsplit(entra.url).port or 0) as made:
        entra.url = f"http://127.0.0.1:{made.port}"
        yield made


@pytest.fixture
def live(tmp_path: Path, entra: Entra, between: Proxy, monkeypatch: pytest.MonkeyPatch) -> Iterator[Live]:
    """A register whose people sign in behind the proxy; nothing is remembered."""
    monkeypatch.setattr(auth, "REMEMBERED", 0.0)
    with signing_in(tmp_path, entra) as running:
        yield running


def status(live: Live, token: str) -> int:
    return live.admin.as_(token).get("/spaces").status


def test_made_up_keys_hold_up_nobody_else_while_the_directory_is_silent(
    live: Live, entra: Entra, between: Proxy, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("unipam.server.entra.KEYS_TIMEOUT", 60.0)
    between.swallow()
    with ThreadPoolExecutor(8) as pool:
        strangers = [pool.submit(status, live, entra.token(kid=f"made-up-{n}")) for n in range(8)]
        while between.links == 0:
            assert not any(each.done() for each in strangers)
        assert status(live, live.admin.token) == 200
        assert live.admin.as_("").at("").get("/readyz").status == 200
        assert not any(each.done() for each in strangers), "they still wait"
        between.cut()
        between.speak()
        assert {each.result() for each in strangers} <= {401, 503}


def test_who_waits_for_keys_waits_for_one_fetch(live: Live, entra: Entra, between: Proxy) -> None:
    between.delay = 0.5
    with ThreadPoolExecutor(8) as pool:
        assert set(pool.map(lambda n: status(live, entra.token(nonce=str(n))), range(8))) == {200}
    assert entra.asked == 1


def test_keys_that_are_known_serve_while_the_directory_is_silent(
    live: Live, entra: Entra, between: Proxy, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert status(live, entra.token()) == 200
    monkeypatch.setattr("unipam.server.entra.KEYS_FRESH", 0.0)
    monkeypatch.setattr("unipam.server.entra.PAUSE", 0.0)
    between.swallow()
    assert [status(live, entra.token(nonce=str(n))) for n in range(3)] == [200] * 3


def test_refusals_for_want_of_keys_are_counted(
    live: Live, entra: Entra, between: Proxy, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("unipam.server.entra.KEYS_TIMEOUT", 0.1)
    between.swallow()
    told = [status(live, entra.token(kid=f"made-up-{n}")) for n in range(31)]
    assert (set(told[:30]), told[30]) == ({503}, 429)
    assert status(live, live.admin.token) == 200
    between.speak()


def test_a_key_that_comes_later_is_found_later(live: Live, entra: Entra, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("unipam.server.entra.PAUSE", 0.0)
    assert status(live, entra.token(kid="new")) == 401
    entra.keys["new"] = entra.keys["old"]
    asked = entra.asked
    assert status(live, entra.token(kid="new")) == 401, "that it was not there is remembered"
    assert entra.asked == asked
    monkeypatch.setattr("unipam.server.entra.UNKNOWN_FOR", 0.0)
    assert status(live, entra.token(kid="new")) == 200


MISSHAPEN: list[Any] = [
    None, 1, "x", [], {}, {"kty": "RSA"}, {"kty": "RSA", "kid": None}, {"kty": "RSA", "kid": ["old"]},
    {"kty": "RSA", "kid": {"a": 1}}, {"kty": "RSA", "kid": "bad"}, {"kty": "RSA", "kid": "bad", "n": 5, "e": None},
    {"kty": "RSA", "kid": "bad", "n": "!", "e": "!"}, {"kty": "RSA", "kid": "bad", "n": "", "e": ""},
    {"kty": ["RSA"], "kid": "bad"}, {"kty": "oct", "kid": "bad", "k": "eA"},
]  # fmt: skip


@pytest.mark.parametrize("row", MISSHAPEN, ids=str)
def test_a_key_that_makes_no_sense_leaves_the_others(entra: Entra, row: Any) -> None:
    entra.more = [row]
    assert list(fetch_keys(Directory(TENANT, CLIENT, entra.url))) == ["old"]


def test_misshapen_keys_refuse_nobody_with_a_good_one(live: Live, entra: Entra) -> None:
    entra.more = MISSHAPEN
    assert status(live, entra.token()) == 200
    assert status(live, entra.token(kid="bad")) == 401
