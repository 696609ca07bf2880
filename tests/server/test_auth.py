"""Signing in: local tokens, Entra ID's against a directory of our own, and how often one may fail."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jwt
import pytest
from tests.plan.clouds import some_uuid
from tests.server.directory import FOREIGN, Entra, signing_in
from tests.server.live import Live, serve, token

from unipam.model.errors import StoreBroken
from unipam.plan.open import open_store
from unipam.server import auth
from unipam.server.run import hand_over


@pytest.fixture
def live(tmp_path: Path, entra: Entra) -> Iterator[Live]:
    with signing_in(tmp_path, entra) as running:
        yield running


def told(live: Live, token: str) -> str:
    answer = live.admin.as_(token).get("/spaces")
    assert answer.status == 401
    assert answer.headers["WWW-Authenticate"] == "Bearer"
    return answer.error


def test_a_member_signs_in_and_may_reserve(live: Live, entra: Entra) -> None:
    live.admin.post("/spaces", {"name": "S", "desc": "d"})
    live.admin.post("/spaces/S/blocks", {"name": "B", "cidr": "10.0.0.0/16"})
    ann = live.admin.as_(entra.token())
    made = ann.post("/spaces/S/blocks/B/reservations", {"size": 24})
    assert (made.status, made.json["createdBy"]) == (201, "ann@example.org")
    assert ann.post("/spaces", {"name": "T", "desc": "d"}).status == 403
    app = live.admin.as_(entra.token(preferred_username=None, oid=some_uuid(4)))
    assert app.get("/spaces/S/reservations").json == []
    assert app.post("/spaces/S/blocks/B/reservations", {"size": 24}).json["createdBy"] == f"spn:{some_uuid(4)}"
    path = f"/spaces/S/blocks/B/reservations/{made.json['id']}"
    assert app.delete(path).error == "Users can only delete their own reservations."
    assert app.get(path).error == "Users can only view their own reservations."
    assert ann.delete(path).status == 204


def test_nobody_is_admin_until_an_admin_says_so(live: Live, entra: Entra) -> None:
    assert live.admin.get("/admin/admins").json == []
    ann = live.admin.as_(entra.token())
    assert ann.get("/admin/admins").status == 403
    body = {"type": "User", "name": "Ann", "email": "ann@example.org", "id": some_uuid(3)}
    assert live.admin.post("/admin/admins", body).status == 201
    fresh = live.admin.as_(entra.token(nonce="another text, so that it is not remembered"))
    assert fresh.get("/admin/admins").status == 200
    assert fresh.delete(f"/admin/admins/{some_uuid(3)}").status == 200  # the last one leaves: nobody becomes one
    assert live.admin.as_(entra.token(nonce="a third")).get("/admin/admins").status == 403


def test_a_member_sees_of_the_cloud_what_it_may(live: Live, entra: Entra) -> None:
    live.cloud.put("net", "10.0.0.0/24")
    token = entra.token()
    ann = live.admin.as_(token)
    assert ann.get("/azure/vnet").json == []
    live.cloud.may_see(token, live.cloud.subscriptions[0].id)
    assert [n["name"] for n in ann.get("/azure/vnet").json] == ["net"]


@pytest.mark.parametrize(
    ("claims", "text"),
    [
        ({"exp": 1}, "Token has expired."),
        ({"aud": "another"}, "Incorrect token claims, please check the audience and issuer."),
        ({"iss": "https://evil.example/v2.0"}, "Incorrect token claims, please check the audience and issuer."),
        ({"tid": some_uuid(8)}, "Incorrect token claims, please check the audience and issuer."),
        ({"oid": None}, "Incorrect token claims, please check the audience and issuer."),
        ({"exp": None}, "Incorrect token claims, please check the audience and issuer."),
        ({"ver": "1.0"}, "Microsoft Identity v1.0 access tokens are not supported."),
        ({"ver": None}, "Unable to decode token version."),
        ({"ver": "x"}, "Unable to decode token version."),
    ],
)
def test_a_token_that_is_not_for_us_is_refused(live: Live, entra: Entra, claims: dict[str, Any], text: str) -> None:
    assert told(live, entra.token(**claims)) == text


def test_a_token_that_nobody_here_signed_is_refused(live: Live, entra: Entra) -> None:
    assert told(live, entra.token(key=FOREIGN)) == "Invalid token signature."
    assert told(live, entra.token(kid="unknown")) == "Unable to find appropriate signing key."
    assert told(live, entra.token(kid=None)) == "Unable to find appropriate signing key."
    unsigned = jwt.encode({"ver": "2.0"}, "", algorithm="none", headers={"kid": "old"})
    assert told(live, unsigned) == "Unable to decode authorization token."
    public = jwt.encode({"ver": "2.0"}, "x" * 64, algorithm="HS256", headers={"kid": "old"})
    assert told(live, public) == "Unable to decode authorization token."
    for text in ("", "x", "a.b.c", "unipam_x_y", "unipam_", "unipam_\u00e9_x"):
        assert live.admin.as_("").ask("GET", "/spaces", None, {"Authorization": f"Bearer {text}"}).status == 401
    assert live.admin.as_("").ask("GET", "/spaces", None, {"Authorization": "Basic eDp5"}).status == 401


def test_keys_are_fetched_once_and_made_up_ids_do_not_make_us_ask(live: Live, entra: Entra) -> None:
    assert live.admin.as_(entra.token()).get("/spaces").status == 200
    for number in range(5):
        told(live, entra.token(kid=f"made-up-{number}"))
    assert live.admin.as_(entra.token(nonce="2")).get("/spaces").status == 200
    assert entra.asked == 1


def test_who_fails_too_often_waits(tmp_path: Path) -> None:
    with serve(str(tmp_path / "r.db"), tmp_path, failures=3) as live:
        assert live.admin.get("/spaces").status == 200
        for _ in range(3):
            told(live, "nonsense")
        answer = live.admin.as_("nonsense").get("/spaces")
        assert answer.status == 429
        assert 0 < int(answer.headers["Retry-After"]) <= 60
        assert live.admin.get("/status").status == 200


def test_a_good_token_serves_whatever_its_neighbours_try(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(auth, "REMEMBERED", 0.0)
    with serve(str(tmp_path / "r.db"), tmp_path, failures=2) as live:
        for _ in range(2):
            told(live, "nonsense")
        assert live.admin.as_("nonsense").get("/spaces").status == 429
        assert live.admin.get("/spaces").status == 200


def test_a_member_s_good_token_serves_too(live: Live, entra: Entra) -> None:
    for number in range(31):
        live.admin.as_(entra.token(key=FOREIGN, nonce=str(number))).get("/spaces")
    assert live.admin.as_(entra.token(key=FOREIGN)).get("/spaces").status == 429
    assert live.admin.as_(entra.token()).get("/spaces").status == 200


def test_a_revoked_token_ends_though_the_clock_steps_back(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(auth, "REMEMBERED", 1.0)
    with serve(str(tmp_path / "r.db"), tmp_path) as live:
        reader = token(live.admin, "gone", "reader")
        assert reader.get("/spaces").status == 200
        monkeypatch.setattr(live.app.state.register.worker, "clock", lambda: time.time() - 3600)
        assert live.admin.at("/api/v1").delete("/tokens/gone").status == 204
        time.sleep(1.5)
        assert reader.get("/spaces").status == 401


def test_the_first_token_is_made_once_and_kept_private(tmp_path: Path) -> None:
    with serve(str(tmp_path / "r.db"), tmp_path) as live:
        first = live.admin.token
    file = tmp_path / "admin-token"
    assert file.stat().st_mode & 0o777 == 0o600
    assert first.encode() not in (tmp_path / "r.db").read_bytes()
    with serve(str(tmp_path / "r.db"), tmp_path) as live:
        assert file.read_text().strip() == first  # no second one
        assert live.admin.get("/spaces").status == 200


def test_the_first_token_follows_no_link_and_goes_into_no_file_that_was_there(tmp_path: Path) -> None:
    victim, file = tmp_path / "victim", tmp_path / "admin-token"
    victim.write_text("not ours")
    file.symlink_to(victim)
    hand_over("secret", str(file))
    assert (victim.read_text(), file.read_text(), file.is_symlink()) == ("not ours", "secret\n", False)
    with file.open() as opened:  # by somebody who made it before, and kept it open
        hand_over("another", str(file))
        assert opened.read() == "secret\n"
    assert (file.read_text(), file.stat().st_mode & 0o777) == ("another\n", 0o600)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["admin-token", "victim"]


def test_a_first_token_that_cannot_be_kept_is_printed(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "admin-token").mkdir()
    with pytest.raises(StoreBroken, match="the token was printed instead"):
        hand_over("secret", str(tmp_path / "admin-token"))
    assert "secret" in capsys.readouterr().err
    assert [path.name for path in tmp_path.iterdir()] == ["admin-token"]


def test_a_token_of_before_works_and_follows_its_space(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(auth, "REMEMBERED", 0.0)
    database = str(tmp_path / "r.db")
    with serve(database, tmp_path) as live:
        live.admin.post("/spaces", {"name": "S", "desc": "d"})
        live.admin.post("/spaces/S/blocks", {"name": "B", "cidr": "10.0.0.0/16"})
        text = token(live.admin, "ci", "planner", "S").token
    store = open_store(database)
    with store.transaction() as tx:
        key = f"token/{text.split('_')[1]}"
        tx.set_note(key, json.dumps({**json.loads(tx.note(key)), "spaces": ["S"]}))  # as it was kept in earlier times
    store.close()
    with serve(database, tmp_path) as live:
        planner = live.admin.as_(text)
        assert planner.post("/spaces/S/blocks/B/reservations", {"size": 24}).status == 201
        assert live.admin.change("/spaces/S", name="Renamed").status == 200
        live.admin.post("/spaces", {"name": "S", "desc": "another"})
        assert planner.post("/spaces/Renamed/blocks/B/reservations", {"size": 24}).status == 201
        assert planner.post("/spaces/S/blocks", {"name": "B", "cidr": "10.0.0.0/16"}).status == 403
        assert planner.at("/api/v1").get("/me").json["plans"] == ["renamed"]
        listed = live.admin.at("/api/v1").get("/tokens").json["items"]
        assert [each["spaces"] for each in listed] == [[], ["Renamed"]]
