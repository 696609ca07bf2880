"""Forms: what is kept of them when a session is gone, refused, or sent twice."""

from __future__ import annotations

from pathlib import Path

from tests.server.live import Client, Live, token
from tests.server.pages.visitor import Visitor


def test_who_is_signed_out_in_mid_form_comes_back_to_it_filled_in(live: Live, api: Client, admin: Visitor) -> None:
    page = admin.get("/access")
    other = Visitor(live.admin.port)
    other.sign_in(live.admin.token)
    other.post("/auth/sign-out", other.get("/status").fields("/auth/sign-out") | {"everywhere": "1"})
    answer = admin.send(page, "/access", name="pipeline", role="reader", days="7", reason="a ticket")
    assert answer.heading == "Sign in"
    answer = admin.send(answer, "/auth/token", token=live.admin.token)
    assert answer.heading == "Access"
    fields = answer.fields("/access")
    assert (fields["name"], fields["role"], fields["days"], fields["reason"]) == ("pipeline", "reader", "7", "a ticket")
    made = admin.send(answer, "/access")
    assert made.status == 200
    assert "shown this once" in made.words


def test_why_is_not_asked_again_of_who_mistyped_something_else(admin: Visitor) -> None:
    for page, action, wrong in (
        ("/new/block?space=S", "/new/block", {"name": "no good name!", "cidr": "10.9.0.0/16"}),
        ("/reserve?space=S&block=B&size=24", "/reserve", {"days": "soon"}),
        ("/externals", "/externals/import", {"lines": "S,B"}),
        ("/spaces/S/blocks/B", "/spaces/S/blocks/B", {"cidr": "nonsense"}),
        ("/spaces/S/blocks/B", "/spaces/S/blocks/B/remove", {"confirm": "C"}),
    ):
        answer = admin.send(admin.get(page), action, reason="ticket 9", **wrong)
        assert answer.status == 400, (page, answer.words)
        assert answer.fields(action)["reason"] == "ticket 9", page


def test_who_signs_in_again_sees_the_change_that_was_begun(live: Live, admin: Visitor) -> None:
    page = admin.get("/spaces/S/blocks/B")
    admin.cookies.clear()
    answer = admin.send(page, "/spaces/S/blocks/B", name="B2", reason="ticket 9")
    answer = admin.send(answer, "/auth/token", token=live.admin.token)
    fields = answer.fields("/spaces/S/blocks/B")
    assert (fields["name"], fields["reason"]) == ("B2", "ticket 9")
    (changed,) = [each for each in answer.find("details") if each.get("open") is not None]
    assert "Change its" in "".join(changed.itertext())


def test_every_box_that_was_ticked_is_ticked_again_after_signing_in(live: Live, api: Client, admin: Visitor) -> None:
    assert api.at("/api/v1").post("/spaces", {"name": "T", "desc": "another"}).status == 201
    page = admin.get("/access")
    admin.cookies.clear()
    answer = admin.send(page, "/access", name="pipeline", role="planner", spaces=["S", "T"])
    answer = admin.send(answer, "/auth/token", token=live.admin.token)
    ticked = [box.get("value") for box in answer.find("input", name="spaces") if box.get("checked") is not None]
    assert ticked == ["S", "T"]


def test_what_was_refused_is_shown_as_it_was_typed(admin: Visitor) -> None:
    page = admin.get("/access")
    answer = admin.send(page, "/access", name="no good name!", role="reader", reason="why")
    assert answer.status == 400
    assert "must be letters" in answer.words
    assert answer.fields("/access")["reason"] == "why"
    assert answer.fields("/access")["name"] == "no good name!"


def test_a_token_is_made_once_with_the_spaces_that_were_ticked(live: Live, admin: Visitor) -> None:
    page = admin.get("/access")
    answer = admin.send(page, "/access", name="planner", role="planner", spaces=["S"], reason="a ticket")
    (code,) = answer.find("code", id="fresh")
    planner = Visitor(live.admin.port)
    assert "planner of s" in planner.sign_in(str(code.text), "/me").words
    again = admin.send(page, "/access", name="planner", role="planner", spaces=["S"])
    assert again.status == 409
    assert str(code.text) not in admin.get("/access").text


def test_who_may_not_is_told_what_it_needs_and_is_refused(live: Live, api: Client) -> None:
    reader = Visitor(live.admin.port)
    reader.sign_in(token(api, "looker", "reader").token, "/access")
    for place in ("", "/grants", "/admins", "/subscriptions", "/sessions", "/check"):
        page = reader.get(f"/access{place}")
        assert "needs administrator" in page.words, place
        assert not [each for each in page.find("form", method="post") if each.get("action") != "/auth/sign-out"]
    secret = reader.get("/me").fields("/me")
    for place in ("", "/grants", "/admins", "/tokens/x/revoke", "/grants/x/revoke", "/admins/x/remove",
                  "/subscriptions/x", "/sessions/x/end"):  # fmt: skip
        answer = reader.post(f"/access{place}", {**secret, "name": "x", "role": "admin"})
        assert (answer.status, answer.heading) == (403, "Not allowed"), place


def test_every_part_of_access_works(live: Live, admin: Visitor) -> None:
    person = "11111111-2222-3333-4444-555555555555"
    page = admin.get("/access/grants")
    page = admin.send(page, "/access/grants", name="team", group=person, role="planner", spaces=["S"])
    assert "The grant team is made." in page.words
    assert page.rows()[1][:3] == ["team", f"group {person}", "planner of S"]
    checked = admin.get(f"/access/check?person={person}&groups={person}")
    assert "It is: planner of s" in checked.words
    assert ["make a block", "planner", "in s"] in checked.rows()
    assert next(row for row in checked.rows() if row[0] == "make a token")[2] == "no"
    page = admin.send(page, "/access/grants/team/revoke")
    assert "is taken back" in page.words
    page = admin.send(admin.get("/access/admins"), "/access/admins", name="Ann", id=person)
    assert "Ann is an administrator." in page.words
    assert "It is: administrator" in admin.get(f"/access/check?person={person}").words
    page = admin.send(page, f"/access/admins/{person}/remove")
    assert "One administrator less." in page.words
    number = live.cloud.subscriptions[0].id
    page = admin.send(admin.get("/access/subscriptions"), f"/access/subscriptions/{number}", do="exclude")
    assert page.rows()[1][3] == "left out"
    page = admin.send(page, f"/access/subscriptions/{number}", do="include")
    assert page.rows()[1][3] == "shown"


def test_pages_look_as_a_person_wants(admin: Visitor) -> None:
    page = admin.send(admin.get("/me"), "/me", theme="dark", density="compact", zone="Europe/Berlin")
    assert "Pages look so from now on." in page.words
    assert 'data-theme="dark" data-density="compact"' in page.text
    assert "times in Europe/Berlin" in page.words
    assert "Pages look so from now on." not in admin.get("/me").words, "said once"
    wrong = admin.send(page, "/me", zone="Nowhere/Else")
    assert wrong.status == 400
    assert "is no time zone known here" in wrong.words
    for field, value in (("theme", "mauve"), ("density", "airy")):
        wrong = admin.send(page, "/me", **{field: value})
        assert wrong.status == 400
        assert f"{field}: {value!r} is none of" in wrong.words


def test_the_same_answers_natively(live: Live, api: Client, admin: Visitor) -> None:
    native = api.at("/api/v1")
    assert native.get("/sessions").json["items"][0]["name"] == "token:first-admin"
    assert native.put("/me/preferences", {"theme": "dark"}).json == {
        "theme": "dark", "density": "comfortable", "zone": "UTC", "columns": {},
    }  # fmt: skip
    assert 'data-theme="dark"' in admin.get("/me").text
    (line, *_) = native.get("/journal?verb=create").json["items"]
    assert (line["kind"], line["name"], line["where"], line["cidr"]) == ("block", "B", ["S"], "10.0.0.0/16")
    assert native.get("/overview").json["spaces"] == 1
    assert native.get("/status").json["engine"] == "SQLite"


def test_a_form_needs_no_script(tmp_path: Path, admin: Visitor) -> None:
    """Every form has a button of its own, and an action."""
    for place in ("/access", "/access/grants", "/access/admins", "/me", "/journal"):
        for form in admin.get(place).find("form"):
            assert form.get("action"), place
            assert form.get("role") == "search" or list(form.iter("button")), place


def test_who_goes_back_and_sends_a_form_again_with_something_else_is_told_so(admin: Visitor) -> None:
    page = admin.get("/reserve?space=S&block=B&size=24")
    assert admin.send(page, "/reserve", desc="first").status == 200
    answer = admin.send(page, "/reserve", desc="second")
    assert answer.status == 422
    assert "This form was sent before" in answer.words
    assert "idempotency" not in answer.words
    assert answer.fields("/reserve")["desc"] == "second"
    assert admin.send(answer, "/reserve").status == 200, "sent once more it is done"


def test_a_space_that_somebody_else_changed_is_told_by_name_alone(admin: Visitor) -> None:
    mine, theirs = admin.get("/spaces/S"), admin.get("/spaces/S")
    assert admin.send(mine, "/spaces/S", desc="mine").status == 200
    answer = admin.send(theirs, "/spaces/S", desc="theirs")
    assert answer.status == 412
    assert "it is now name S; desc mine" in answer.words
    assert "::/0" not in answer.words


def test_a_prefix_with_host_bits_is_told_once_what_was_meant(admin: Visitor) -> None:
    answer = admin.send(admin.get("/new/block?space=S"), "/new/block", name="C", cidr="10.9.0.1/16")
    assert answer.status == 400
    assert answer.words.lower().count("did you mean 10.9.0.0/16?") == 1
