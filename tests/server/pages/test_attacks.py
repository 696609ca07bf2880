"""What somebody sends who means harm: nothing of it changes anything, signs anybody in, or breaks the server."""

# ruff: noqa: E501 (a line for each attack)
from __future__ import annotations

import urllib.parse
from typing import NamedTuple

import pytest
from tests.server.live import Client, Live
from tests.server.pages.visitor import Visitor, contract

from unipam.plan.open import open_store

FORM = "application/x-www-form-urlencoded"
SCRIPT = "<script>alert(1)</script>"


class Attack(NamedTuple):
    """A request; with `signed` it is sent by the browser of somebody who is signed in, as another site makes it."""

    name: str
    method: str
    place: str
    body: bytes = b""
    headers: dict[str, str] = {}  # noqa: RUF012
    signed: bool = True


def form(**fields: str) -> bytes:
    return urllib.parse.urlencode(fields).encode()


FROM_EVIL = {"Content-Type": FORM, "Sec-Fetch-Site": "cross-site", "Origin": "https://evil.example"}
NO_ORIGIN = {"Content-Type": FORM}
SAME = {"Content-Type": FORM, "Sec-Fetch-Site": "same-origin"}
WRITES = (
    "/auth/sign-out", "/access", "/access/grants", "/access/admins", "/access/tokens/x/revoke",
    "/access/sessions/x/end", "/access/subscriptions/x", "/me", "/me/columns",
)  # fmt: skip
FIELDS = {"name": "evil", "role": "admin", "id": "11111111-2222-3333-4444-555555555555", "theme": "dark"}

ATTACKS = [
    *(Attack(f"a form of another site: {place}", "POST", place, form(**FIELDS), FROM_EVIL) for place in WRITES),
    *(Attack(f"no origin at all: {place}", "POST", place, form(**FIELDS), NO_ORIGIN) for place in WRITES),
    *(Attack(f"own origin, no form token: {place}", "POST", place, form(**FIELDS), SAME) for place in WRITES),
    Attack("a made-up form token", "POST", "/access", form(form="A" * 43, **FIELDS), SAME),
    Attack("a form token that is no text", "POST", "/access", form(form="\udcff".encode("utf-8", "replace").decode(), **FIELDS), SAME),
    Attack("a same-site neighbour", "POST", "/access", form(**FIELDS), {**SAME, "Sec-Fetch-Site": "same-site"}),
    Attack("an origin that looks alike", "POST", "/access", form(**FIELDS), {"Content-Type": FORM, "Origin": "http://127.0.0.1.evil.example"}),
    Attack("origin null", "POST", "/access", form(**FIELDS), {"Content-Type": FORM, "Origin": "null"}),
    Attack("a form as JSON", "POST", "/access", b'{"name":"evil","role":"admin"}', {"Content-Type": "application/json", "Sec-Fetch-Site": "same-origin"}),
    Attack("the cookie at the native API, to write", "POST", "/api/v1/spaces", b'{"name":"evil","desc":"x"}', {"Content-Type": "application/json"}),
    Attack("the cookie at the native API, to read", "GET", "/api/v1/spaces"),
    Attack("the cookie at the application's API", "POST", "/api/spaces", b'{"name":"evil","desc":"x"}', {"Content-Type": "application/json"}),
    Attack("a session in the query", "GET", "/status?unipam=abc", signed=False),
    Attack("a made-up session", "GET", "/status", headers={"Cookie": "unipam-{port}=" + "A" * 43}, signed=False),
    Attack("a session that is a path", "GET", "/status", headers={"Cookie": "unipam-{port}=../../etc/passwd"}, signed=False),
    Attack("a session with a quote", "GET", "/status", headers={"Cookie": "unipam-{port}=' OR 1=1 --"}, signed=False),
    Attack("a session of a megabyte's head", "GET", "/status", headers={"Cookie": "unipam-{port}=" + "A" * 7000}, signed=False),
    Attack("to sign in with nothing", "POST", "/auth/token", b"", {**SAME}, signed=False),
    Attack("to sign somebody in from another site", "POST", "/auth/token", form(token="unipam_x"), FROM_EVIL, signed=False),
    Attack("a token with SQL", "POST", "/auth/token", form(token="unipam_' OR 1=1 --_x"), SAME, signed=False),
    Attack("an endless field", "POST", "/auth/token", b"token=" + b"A" * 300_000, SAME, signed=False),
    Attack("ten thousand fields", "POST", "/auth/token", b"&".join(b"f%d=1" % n for n in range(10_000)), SAME, signed=False),
    Attack("a broken multipart", "POST", "/auth/token", b"--x\r\nbroken", {"Content-Type": "multipart/form-data; boundary=x", "Sec-Fetch-Site": "same-origin"}, signed=False),
    Attack("a callback of nobody's flow", "GET", "/auth/callback?code=x&state=y", signed=False),
    Attack("a callback with script", "GET", f"/auth/callback?error={urllib.parse.quote(SCRIPT)}", signed=False),
    Attack("a link made up", "GET", "/auth/once?code=" + "A" * 43, signed=False),
    Attack("a link that is an array", "GET", "/auth/once?code[]=1", signed=False),
    Attack("next to another host", "GET", "/auth/sign-in?next=//evil.example", signed=False),
    Attack("next with script", "GET", "/auth/sign-in?next=" + urllib.parse.quote('/"><script>alert(1)</script>'), signed=False),
    Attack("next with a line break", "GET", "/auth/sign-in?next=/%0d%0aSet-Cookie:%20x=y", signed=False),
    Attack("another host in Host", "GET", "/status", headers={"Host": "evil.example"}, signed=False),
    Attack("script in the address", "GET", "/" + urllib.parse.quote(SCRIPT)),
    Attack("script in a filter", "GET", "/journal?actor=" + urllib.parse.quote(SCRIPT)),
    Attack("script in the search", "GET", "/search?q=" + urllib.parse.quote(SCRIPT)),
    Attack("script as an address", "GET", "/addresses/" + urllib.parse.quote(SCRIPT)),
    Attack("script as a moment", "GET", "/journal?at=" + urllib.parse.quote(SCRIPT)),
    Attack("a moment beyond time", "GET", "/journal?from=99999999999999999999"),
    Attack("a moment that is not a number", "GET", "/journal?at=nan"),
    Attack("a page of the journal that is SQL", "GET", "/journal?after=1;DROP%20TABLE%20journal"),
    Attack("a page of the journal beyond all", "GET", "/journal?after=" + "9" * 18),
    Attack("a prefix that is none", "GET", "/journal?under=10.0.0.0/99"),
    Attack("a file of the server", "GET", "/assets/../auth.py"),
    Attack("a file, encoded", "GET", "/assets/%2e%2e%2fauth.py"),
    Attack("a template", "GET", "/assets/base.html"),
    Attack("a null byte", "GET", "/addresses/10.0.0.1%00"),
    Attack("not UTF-8", "GET", "/search?q=%ff%fe"),
    Attack("another method", "DELETE", "/status"),
    Attack("TRACE", "TRACE", "/status"),
    Attack("PUT a page", "PUT", "/access", b"x"),
    Attack("a part in a frame of another site", "GET", "/status", headers={"HX-Request": "true", "Origin": "https://evil.example"}),
    Attack("end a session by GET", "GET", "/auth/sign-out"),
    Attack("a format nobody knows", "GET", "/journal?format=exe"),
]  # fmt: skip


def facts(live: Live) -> object:
    """Everything that an attack might change, but for when sessions were seen."""
    store = open_store(live.settings.database)
    with store.reading() as tx:
        found = [note for note in tx.notes("") if not note[0].startswith("session/")], len(tx.notes("session/"))
        lines = len(tx.journal())
    store.close()
    return found, lines


def test_there_are_fifty_of_them() -> None:
    assert len(ATTACKS) >= 50
    assert len({each.name for each in ATTACKS}) == len(ATTACKS)


def test_nothing_of_it_does_anything(live: Live, api: Client, admin: Visitor) -> None:
    live.app.state.register.auth._limit._allowed = 1000  # they all come from one place
    before = facts(live)
    wrong: list[str] = []
    for each in ATTACKS:
        visitor = admin if each.signed else Visitor(live.admin.port)
        cookies = dict(visitor.cookies)
        headers = {name: value.replace("{port}", str(live.admin.port)) for name, value in each.headers.items()}
        answer = visitor.raw(each.method, each.place, each.body or None, headers)
        place = answer.headers.get("Location", "/")
        if answer.status >= 500:
            wrong.append(f"{each.name}: {answer.status}")
        if not place.startswith("/") or place.startswith("//") or "evil" in place.partition("?")[0]:
            wrong.append(f"{each.name}: sent to {place}")
        if visitor.cookies != cookies:
            wrong.append(f"{each.name}: cookies {visitor.cookies}")
        if SCRIPT in answer.text:
            wrong.append(f"{each.name}: the script stands in the answer")
        if facts(live) != before:
            wrong.append(f"{each.name}: something changed")
            before = facts(live)
    assert not wrong
    assert admin.get("/status").heading == "Status", "and the session is as it was"


@pytest.mark.parametrize(
    "text", [SCRIPT, '"><img src=x onerror=alert(1)>', "{{ 7001*1009 }}", "' onmouseover='x", "\u202e\u0000x"]
)
def test_what_was_named_to_harm_is_shown_as_text(live: Live, api: Client, admin: Visitor, text: str) -> None:
    """In a reason, which stands in the journal; names and descriptions have their own alphabets."""
    store = open_store(live.settings.database)
    from unipam.model.records import Entry, Owner

    with store.transaction() as tx:
        tx.record(Entry(1.0, "create-token", 0, 0, 0, Owner(f"token/{text}"), 0, text, text, text))
    store.close()
    page = admin.get("/journal")
    contract(page)
    assert "7064009" not in page.words
    assert " ".join(text.translate({0: "\ufffd", 0x202E: "\ufffd"}).split()) in page.words
    exported = admin.raw("GET", "/journal?format=csv")
    assert exported.headers.get_content_type() == "text/csv"
    assert admin.raw("GET", "/journal?format=json").status == 200


def test_a_cell_that_would_be_a_formula_is_text(live: Live, api: Client, admin: Visitor) -> None:
    for text in ("=1+1", "+1", "-1", "@SUM(A1)"):
        answer = api.at("/api/v1").post("/spaces", {"name": f"s{abs(hash(text))}", "desc": "x"}, **{"X-Reason": text})
        assert answer.status == 201
    lines = admin.raw("GET", "/journal?format=csv").text
    for text in ("=1+1", "+1", "-1", "@SUM(A1)"):
        assert f",'{text}," in lines
        assert f",{text}," not in lines
