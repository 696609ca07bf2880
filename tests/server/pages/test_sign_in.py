"""Signing in to the pages: with a token, with a link, with Entra ID; and what ends a session."""

from __future__ import annotations

import ssl
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.fakes.azure import FakeAzure
from tests.server.live import Client, Live, serve, token
from tests.server.pages.visitor import Answer, Visitor, words

from unipam.plan.access import sessions
from unipam.plan.open import open_store
from unipam.server.code_flow import Proof
from unipam.server.entra import Directory


class Stay(urllib.request.HTTPRedirectHandler):
    """Do not go where one is sent."""

    def redirect_request(self, *_: Any) -> None:
        return None


@pytest.fixture
def azure(tmp_path: Path) -> Iterator[FakeAzure]:
    (tmp_path / "ca").mkdir()
    made = FakeAzure(tmp_path / "ca")
    yield made
    made.close()


@pytest.fixture
def tenant(tmp_path: Path, azure: FakeAzure) -> Iterator[Live]:
    """A register whose people sign in with the fake's Entra ID."""
    entra = azure.entra
    directory = Directory(entra.tenant, entra.client, entra.base, azure.ca)
    with serve(str(tmp_path / "r.db"), tmp_path, directory=directory, proof=Proof(entra.secret), failures=40) as live:
        yield live


def at_entra(azure: FakeAzure, place: str) -> str:
    """Sign in there, as whoever sits at the browser; where the browser is sent."""
    context = ssl.create_default_context(cafile=azure.ca)
    opener = urllib.request.build_opener(urllib.request.HTTPSHandler(context=context), Stay)
    with pytest.raises(urllib.error.HTTPError) as sent:
        opener.open(place)
    with sent.value as answer:
        assert answer.code == 302
        return str(answer.headers["Location"])


def within(place: str) -> str:
    """The part of an address behind the host."""
    parts = urllib.parse.urlsplit(place)
    return f"{parts.path}?{parts.query}"


def begun(visitor: Visitor, azure: FakeAzure, place: str = "/status") -> str:
    """Begin to sign in; where Entra ID sends the browser back to."""
    answer = visitor.raw("GET", f"/auth/login?next={urllib.parse.quote(place)}")
    assert answer.status == 303
    return within(at_entra(azure, answer.headers["Location"]))


def entered(visitor: Visitor, azure: FakeAzure, place: str = "/status") -> Answer:
    return visitor.get(begun(visitor, azure, place))


def refused(answer: Answer, code: int, text: str) -> None:
    assert (answer.status, answer.heading) == (code, "Sign in"), answer.words
    assert text in answer.words, answer.words


def journal(live: Live) -> list[tuple[str, str, str]]:
    rows = live.admin.at("/api/v1").get("/history?limit=1000").json
    return [(row["verb"], row["holder"].partition("/")[0], row["actor"]) for row in rows]


class TestToken:
    def test_a_session_has_the_rights_of_its_token(self, live: Live, api: Client) -> None:
        reader = Visitor(live.admin.port)
        page = reader.sign_in(token(api, "looker", "reader").token, "/status")
        assert "token:looker" in page.words
        assert "reader" in page.words
        assert ("sign-in", "session", "token:looker") in journal(live)

    def test_the_cookie_is_for_this_register_alone_and_no_script_reads_it(self, stranger: Visitor, live: Live) -> None:
        answer = stranger.raw(
            "POST", "/auth/token", urllib.parse.urlencode({"token": live.admin.token}).encode(),
            {"Content-Type": "application/x-www-form-urlencoded", "Sec-Fetch-Site": "same-origin"},
        )  # fmt: skip
        terms = answer.headers["Set-Cookie"]
        assert terms.startswith(f"unipam-{live.admin.port}=")
        assert {"HttpOnly", "Path=/", "SameSite=lax"} <= {each.strip() for each in terms.split(";")}

    def test_with_tls_the_cookie_is_the_host_s(self, stranger: Visitor, live: Live) -> None:
        answer = stranger.raw(
            "POST", "/auth/token", urllib.parse.urlencode({"token": live.admin.token}).encode(),
            {"Content-Type": "application/x-www-form-urlencoded", "Sec-Fetch-Site": "same-origin",
             "X-Forwarded-Proto": "https"},
        )  # fmt: skip
        terms = answer.headers["Set-Cookie"]
        assert terms.startswith("__Host-unipam=")
        assert "Secure" in terms
        page = stranger.raw("GET", "/status", None, {"X-Forwarded-Proto": "https"})
        assert page.status == 200
        assert page.headers["Strict-Transport-Security"]

    def test_the_key_of_a_session_is_not_in_the_database(self, admin: Visitor, live: Live) -> None:
        (key,) = admin.cookies.values()
        store = open_store(live.settings.database)
        with store.reading() as tx:
            assert not [text for note in tx.notes("") for text in note if key in text]
        store.close()

    @pytest.mark.parametrize("text", ["", "unipam_000000000000_" + "x" * 43, "secret", "eyJ.eyJ.x"])
    def test_a_wrong_token_is_refused_where_it_was_given(self, stranger: Visitor, text: str) -> None:
        page = stranger.sign_in(text)
        assert page.heading == "Sign in"
        assert page.status in (400, 401)
        assert not stranger.cookies

    def test_who_fails_too_often_waits(self, tmp_path: Path) -> None:
        with serve(str(tmp_path / "r.db"), tmp_path, failures=3) as live:
            visitor = Visitor(live.admin.port)
            for _ in range(3):
                refused(visitor.sign_in("unipam_x"), 401, "not known")
            refused(visitor.sign_in("unipam_x"), 429, "wait")

    def test_a_revoked_token_s_session_is_over(self, live: Live, api: Client) -> None:
        planner = token(api, "gone", "reader")
        visitor = Visitor(live.admin.port)
        assert visitor.sign_in(planner.token, "/status").status == 200
        assert api.at("/api/v1").delete("/tokens/gone").status == 204
        assert visitor.get("/status").heading == "Sign in"

    def test_signing_in_anew_ends_the_former_session(self, live: Live, admin: Visitor) -> None:
        before = dict(admin.cookies)
        admin.sign_in(live.admin.token)
        assert admin.cookies != before
        admin.cookies = before
        assert admin.get("/status").heading == "Sign in"


class TestEnd:
    def test_signing_out_ends_the_session_on_the_server(self, admin: Visitor) -> None:
        before = dict(admin.cookies)
        assert admin.send(admin.get("/status"), "/auth/sign-out").heading == "Sign in"
        assert not admin.cookies
        admin.cookies = before
        assert admin.get("/status").heading == "Sign in"

    def test_a_session_ends_by_idleness_and_by_age(self, live: Live, admin: Visitor) -> None:
        register = live.app.state.register
        real = register.clock
        register.clock = lambda: real() + sessions.IDLE + 1
        assert admin.get("/status").heading == "Sign in"
        register.clock = real
        assert admin.get("/status").heading == "Status"
        hours = 0.0
        for _ in range(3):  # in use all the time
            hours += sessions.IDLE - 60
            register.clock = lambda: real() + hours  # noqa: B023
            assert admin.get("/status").heading == "Status"
        register.clock = lambda: real() + sessions.LONGEST + 1
        assert admin.get("/status").heading == "Sign in"
        register.clock = real

    def test_what_is_over_is_forgotten(self, live: Live, admin: Visitor) -> None:
        store = open_store(live.settings.database)
        with store.transaction() as tx:
            assert sessions.forget_sessions(tx, live.app.state.register.clock()) == 0
            assert sessions.forget_sessions(tx, live.app.state.register.clock() + sessions.LONGEST) == 1
        store.close()
        assert admin.get("/status").heading == "Sign in"

    def test_a_session_ended_elsewhere_is_over_while_its_page_is_open(self, live: Live, admin: Visitor) -> None:
        page = admin.get("/status")
        other = Visitor(live.admin.port)
        other.sign_in(live.admin.token)
        other.post("/auth/sign-out", other.get("/status").fields("/auth/sign-out") | {"everywhere": "1"})
        assert admin.send(page, "/auth/sign-out").heading == "Sign in"
        part = admin.part("/status?x=1")
        assert part.status == 401
        assert part.headers["HX-Redirect"].startswith("/auth/sign-in")


class TestLink:
    def link(self, live: Live) -> str:
        answer = live.admin.at("/api/v1").post("/me/sign-in-link", None)
        assert answer.status == 201
        return str(answer.json["path"])

    def test_a_link_signs_in_once(self, live: Live, api: Client, stranger: Visitor) -> None:
        link = self.link(live)
        assert stranger.get(f"{link}&next=/status").heading == "Status"
        refused(Visitor(live.admin.port).get(link), 401, "was used")

    def test_a_link_is_good_for_a_minute(self, live: Live, stranger: Visitor, monkeypatch: pytest.MonkeyPatch) -> None:
        assert sessions.ONCE == 60
        monkeypatch.setattr(sessions, "ONCE", -1.0)
        refused(stranger.get(self.link(live)), 401, "older than a minute")

    @pytest.mark.parametrize("code", ["", "x", "x" * 43, "../../etc", "%00"])
    def test_no_link_that_was_made_up(self, stranger: Visitor, code: str) -> None:
        refused(stranger.get(f"/auth/once?code={code}"), 401, "was used")


class TestEntra:
    def test_a_person_signs_in_and_comes_to_the_page_wanted(self, tenant: Live, azure: FakeAzure) -> None:
        ann = Visitor(tenant.admin.port)
        page = ann.get("/status?a=b")
        (link,) = (each for each in page.find("a") if words(each) == "Sign in with Entra ID")
        sent = ann.raw("GET", str(link.get("href")))
        assert sent.headers["Location"].startswith(f"{azure.entra.base}/{azure.entra.tenant}/oauth2/v2.0/authorize?")
        answer = ann.get(within(at_entra(azure, sent.headers["Location"])))
        assert (answer.heading, answer.place) == ("Status", "/status?a=b")
        assert "ann@example.com" in answer.words
        assert list(ann.cookies) == [f"unipam-{tenant.admin.port}"], "the flow's cookie is gone"
        assert ("sign-in", "session", "ann@example.com") in journal(tenant)

    def test_what_is_asked_of_entra_has_state_nonce_and_pkce(self, tenant: Live, azure: FakeAzure) -> None:
        ann = Visitor(tenant.admin.port)
        asked = []
        for _ in range(2):
            place = ann.raw("GET", "/auth/login").headers["Location"]
            asked.append(dict(urllib.parse.parse_qsl(urllib.parse.urlsplit(place).query)))
        assert asked[0]["code_challenge_method"] == "S256"
        for name in ("state", "nonce", "code_challenge"):
            assert len(asked[0][name]) >= 16
            assert asked[0][name] != asked[1][name]
        assert f"api://{azure.entra.client}/access_as_user" in asked[0]["scope"]
        assert asked[0]["redirect_uri"] == f"http://127.0.0.1:{tenant.admin.port}/auth/callback"

    def test_a_wrong_state_is_refused(self, tenant: Live, azure: FakeAzure) -> None:
        ann = Visitor(tenant.admin.port)
        place = begun(ann, azure)
        spoilt = place.replace("state=", "state=x")
        refused(ann.get(spoilt), 401, "not begun here")
        assert "authorization_code" not in azure.entra.grants

    def test_a_callback_without_a_flow_of_this_browser_is_refused(self, tenant: Live, azure: FakeAzure) -> None:
        place = begun(Visitor(tenant.admin.port), azure)
        refused(Visitor(tenant.admin.port).get(place), 401, "not begun in this browser")
        assert "authorization_code" not in azure.entra.grants

    def test_a_flow_cookie_that_was_changed_is_refused(self, tenant: Live, azure: FakeAzure) -> None:
        ann = Visitor(tenant.admin.port)
        place = begun(ann, azure)
        (name,) = ann.cookies
        ann.cookies[name] = ann.cookies[name][:-6] + "AAAAA="
        refused(ann.get(place), 401, "not begun in this browser")

    def test_a_flow_of_eleven_minutes_ago_is_over(self, tenant: Live, azure: FakeAzure) -> None:
        ann = Visitor(tenant.admin.port)
        place = begun(ann, azure)
        register = tenant.app.state.register
        real = register.clock
        register.clock = lambda: real() + 660
        refused(ann.get(place), 401, "ten minutes")
        register.clock = real

    def test_a_wrong_nonce_is_refused(self, tenant: Live, azure: FakeAzure) -> None:
        azure.entra.spoil = {"nonce": "another"}
        ann = Visitor(tenant.admin.port)
        answer = entered(ann, azure)
        assert (answer.status, answer.heading) == (401, "Sign in")
        assert not ann.cookies

    def test_another_s_code_fails_the_check_of_pkce(self, tenant: Live, azure: FakeAzure) -> None:
        """An attacker's code, put into the victim's flow: the verifier is another one."""
        victim, attacker = Visitor(tenant.admin.port), Visitor(tenant.admin.port)
        mine = begun(attacker, azure)
        theirs = begun(victim, azure)
        code = dict(urllib.parse.parse_qsl(mine.partition("?")[2]))["code"]
        state = dict(urllib.parse.parse_qsl(theirs.partition("?")[2]))["state"]
        refused(victim.get(f"/auth/callback?code={code}&state={state}"), 401, "AADSTS501481")

    def test_a_callback_that_comes_twice_is_refused(self, tenant: Live, azure: FakeAzure) -> None:
        ann = Visitor(tenant.admin.port)
        place = begun(ann, azure)
        flow = dict(ann.cookies)
        assert ann.get(place).heading == "Status"
        again = Visitor(tenant.admin.port)
        again.cookies = flow
        refused(again.get(place), 401, "AADSTS54005")

    def test_a_code_redeemed_twice_at_once_makes_one_session(self, tenant: Live) -> None:
        store = open_store(tenant.settings.database)
        with store.transaction() as tx:
            from unipam.model.errors import NotSignedIn
            from unipam.plan.tree import Author

            by = Author("unipam", now=1000.0)
            sessions.use_up(tx, by, "state", 600)
            with pytest.raises(NotSignedIn):
                sessions.use_up(tx, by, "state", 600)
        store.close()

    @pytest.mark.parametrize(
        "place",
        [
            "//evil.example/x", "https://evil.example", "/\\evil.example", "javascript:alert(1)", "/auth/sign-out",
            "\t//evil", "/\n/evil",
        ],
    )  # fmt: skip
    def test_one_is_never_sent_elsewhere(self, tenant: Live, azure: FakeAzure, place: str) -> None:
        ann = Visitor(tenant.admin.port)
        back = begun(ann, azure, place)
        answer = ann.raw("GET", back)
        assert answer.status == 303
        assert answer.headers["Location"] == "/"

    def test_entra_s_refusal_is_told(self, tenant: Live, azure: FakeAzure) -> None:
        ann = Visitor(tenant.admin.port)
        state = dict(urllib.parse.parse_qsl(begun(ann, azure).partition("?")[2]))["state"]
        place = f"/auth/callback?error=access_denied&error_description=AADSTS65004+declined+%3Cb%3E&state={state}"
        refused(ann.get(place), 401, "AADSTS65004 declined <b>")

    def test_while_entra_is_away_a_page_says_so(self, tenant: Live, azure: FakeAzure) -> None:
        azure.close()
        answer = Visitor(tenant.admin.port).get("/auth/login")
        assert answer.status == 503
        assert "Entra ID cannot be asked now" in answer.words

    def test_the_tokens_lie_in_the_database_sealed(self, tenant: Live, azure: FakeAzure) -> None:
        entered(Visitor(tenant.admin.port), azure)
        store = open_store(tenant.settings.database)
        with store.reading() as tx:
            assert not [text for _, text in tx.notes("") if "eyJ" in text.replace("eyJpZCI", "")]
        store.close()

    def test_tokens_that_run_out_are_renewed_with_what_changed(self, tenant: Live, azure: FakeAzure) -> None:
        azure.entra.lasts = 100.0  # within the time at which they are renewed
        ann = Visitor(tenant.admin.port)
        entered(ann, azure)
        assert azure.entra.grants.count("refresh_token") == 1, "at the first page"
        azure.entra.person_claims = {"roles": ["boss"]}
        made = tenant.admin.at("/api/v1").post("/grants", {"name": "g", "app_role": "boss", "role": "admin"})
        assert made.status == 201
        assert "administrator" in ann.get("/status").words
        azure.entra.lasts = 3600.0
        ann.get("/status")
        before = len(azure.entra.grants)
        ann.get("/status")
        assert len(azure.entra.grants) == before

    def test_who_gets_no_tokens_any_more_is_signed_out(self, tenant: Live, azure: FakeAzure) -> None:
        azure.entra.lasts = 100.0
        ann = Visitor(tenant.admin.port)
        entered(ann, azure)
        azure.entra.revoke_refreshing()
        assert ann.get("/status").heading == "Sign in"

    def test_a_session_is_on_behalf_of_its_person(self, tenant: Live, azure: FakeAzure) -> None:
        """Azure is asked with the person's own token, as by the API: nobody sees more on a page."""
        ann = Visitor(tenant.admin.port)
        entered(ann, azure)
        asked: list[str] = []
        real = tenant.cloud.visible_to
        tenant.cloud.visible_to = lambda token, **more: asked.append(token) or real(token, **more)  # type: ignore
        register, (key,) = tenant.app.state.register, ann.cookies.values()
        import asyncio

        from unipam.server.pages.credentials import held_by

        web = asyncio.run_coroutine_threadsafe(
            register.worker.read(lambda tx: sessions.find_session(tx, key, register.clock())), tenant.loop
        ).result(10)
        held = held_by(key, web)
        assert held is not None
        caller = asyncio.run_coroutine_threadsafe(
            register.worker.read(lambda tx: register.auth.holder(tx, web, held.access)), tenant.loop
        ).result(10)
        asyncio.run_coroutine_threadsafe(register.visible(caller), tenant.loop).result(10)
        assert asked == [held.access]

    def test_without_a_proof_the_page_offers_a_token_alone(self, stranger: Visitor) -> None:
        assert "Entra" not in stranger.get("/auth/sign-in").words
        assert stranger.get("/auth/login").status == 404
