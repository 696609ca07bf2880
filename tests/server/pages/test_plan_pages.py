"""The pages of the plan, for every role, on an empty register, a small one, the sample, after errors, with old data."""

from __future__ import annotations

import csv
import io
import json
import shlex
import urllib.parse
from pathlib import Path

import click
import pytest
from tests.plan.clouds import MemoryCloud
from tests.server.live import Client, Live, serve, token
from tests.server.pages.visitor import Visitor
from tests.server.pages.visitor import words as words_of

from unipam.cli.main import unipam
from unipam.model.errors import SourceFailed
from unipam.plan.access.preferences import LISTS
from unipam.server.pages import words

PAGES = (
    "/plan", "/plan?show=free&size=24&space=S", "/map", "/map?view=areas", "/map?under=S/B", "/reserve",
    "/reserve?space=S&block=B&size=24", "/reserve?space=S&block=B&size=12", "/reserve?space=S&block=B&nodes=10&pods=30",
    "/reserve?space=S&block=B&cidr=10.0.0.0/24", "/reservations", "/reservations?status=over",
    "/reservations?space=S&block=B&q=x", "/networks", "/networks?tab=findings", "/networks?plan=unplanned&overlap=yes",
    "/networks/endpoints", "/networks/endpoints?q=10.0.0.0/8&orphaned=no&sort=private_ip",
    "/externals", "/externals?kind=subnet", "/externals?kind=endpoint", "/sizing",
    "/sizing?variant=overlay&nodes=3", "/diagnose", "/spaces/S", "/spaces/S/blocks/B", "/spaces/S/blocks/B?bits=24",
    "/new/space", "/new/block?space=S", "/new/external?space=S&block=B", "/leases", "/leases?q=10.0.0.0/8", "/keys",
    "/forecast", "/forecast?space=S&horizon=30", "/spaces/S/forecast", "/spaces/S/blocks/B/forecast",
)  # fmt: skip
NEEDS_SPACE = tuple(
    page for page in PAGES if "S" in urllib.parse.urlsplit(page).path + urllib.parse.urlsplit(page).query
)
ROLES = ("admin", "planner", "reader")


def visitor(live: Live, role: str) -> Visitor:
    """Somebody of this role who has signed in."""
    api = live.admin if role == "admin" else token(live.admin, role, role, *(["S"] if role == "planner" else []))
    found = Visitor(live.admin.port)
    assert found.sign_in(api.token).status in (200, 404)
    return found


@pytest.fixture(scope="module")
def looker(sample: Live) -> Visitor:
    """An administrator who looks at the sample plan."""
    return visitor(sample, "admin")


def native(live: Live) -> Client:
    return live.admin.at("/api/v1")


def small(live: Live, *, many: int = 1) -> None:
    """A space S with a block B, and as many of everything in it."""
    api = native(live)
    assert api.post("/spaces", {"name": "S", "desc": "a space"}).status == 201
    assert api.post("/spaces/S/blocks", {"name": "B", "cidr": "10.0.0.0/16"}).status == 201
    assert api.post("/spaces/S/reservations", {"blocks": ["B"], "size": 26, "count": many}).status == 201
    new = [{"name": f"x{number}", "desc": "outside", "size": 26} for number in range(many)]
    assert api.post("/spaces/S/blocks/B/externals", new).status == 201
    for number in range(many):
        live.cloud.put(f"seen-{number}", f"10.0.{200 + number // 4}.{number % 4 * 64}/26")


# ---- page × role × amount


@pytest.mark.parametrize("role", sorted({*ROLES} - {"planner"}))  # who has a space, so that nothing is empty
def test_every_page_of_an_empty_register_says_what_to_do(live: Live, role: str) -> None:
    who = visitor(live, role)
    for page in PAGES:
        answer = who.get(page)
        if page in NEEDS_SPACE:
            assert answer.status in (200, 400, 404, 409), (page, answer.words)
        else:
            assert answer.status == 200, (page, answer.words)
            assert answer.find("section", class_="empty") or answer.find("form"), page


@pytest.mark.parametrize("many", [1, 130])
@pytest.mark.parametrize("role", ROLES)
def test_every_page_is_there_for_every_role(live: Live, role: str, many: int) -> None:
    small(live, many=many)
    who = visitor(live, role)
    for page in PAGES:
        answer = who.get(page)
        assert answer.status == 200, (page, answer.words[:400])
        assert len(answer.text) < 200_000, page
    if many > 100:
        (more,) = [link for link in who.get("/reservations").find("a") if link.get("rel") == "next"]
        assert who.get(str(more.get("href"))).rows()


class Silent(MemoryCloud):
    """A cloud that cannot be asked."""

    def snapshot(self, *, newer_than: float = 0.0) -> None:  # type: ignore[override]
        raise SourceFailed("Azure does not answer", source="azure")


def test_pages_are_there_while_azure_has_never_answered(tmp_path: Path) -> None:
    with serve(str(tmp_path / "register.db"), tmp_path, cloud=Silent()) as live:
        api = native(live)
        api.post("/spaces", {"name": "S", "desc": "a space"})
        api.post("/spaces/S/blocks", {"name": "B", "cidr": "10.0.0.0/16"})
        who = visitor(live, "admin")
        for page in PAGES:
            assert who.get(page).status == 200, page
        assert "Nothing has been seen of Azure" in who.get("/networks").words
        assert "Nothing was compared" in who.get("/networks?tab=findings").words


def test_every_link_on_the_sample_s_pages_leads_somewhere(looker: Visitor) -> None:
    waiting, seen = [page for page in PAGES if page not in NEEDS_SPACE], set()
    waiting += ["/spaces/corp", "/spaces/corp/blocks/datacentre/externals/frankfurt", "/map?under=corp/pods"]
    kinds: dict[str, int] = {}
    while waiting:
        page = waiting.pop(0)
        path = urllib.parse.urlsplit(page).path
        shape = "/addresses" if path.startswith("/addresses/") else path
        if "/spaces/" in path:
            shape = "/".join(part if place % 2 else "*" for place, part in enumerate(path.split("/")))
        if (
            page in seen
            or kinds.get(shape, 0) >= 6
            or path.startswith(("/api/", "/assets/", "/auth/", "/metrics", "/readyz"))
        ):
            continue
        seen.add(page)
        kinds[shape] = kinds.get(shape, 0) + 1
        answer = looker.get(page)
        assert answer.status == 200, (page, answer.words[:300])
        if answer.headers.get_content_type() == "text/html":
            waiting += [str(a.get("href")) for a in answer.find("a") if str(a.get("href") or "").startswith("/")]
    assert len(seen) > 60


@pytest.mark.parametrize("columns", [{}, {name: list(every) for name, every in LISTS.items()}], ids=["usual", "all"])
def test_pages_are_small(looker: Visitor, sample: Live, columns: dict[str, list[str]]) -> None:
    assert native(sample).put("/me/preferences", {"columns": columns}).status == 200
    sizes = {
        page: len(looker.raw("GET", page).text)
        for page in (
            "/plan", "/plan?open=corp,corp/westeurope", "/networks", "/networks?plan=unplanned", "/networks/endpoints",
            "/networks?tab=findings", "/reservations", "/reservations?status=over", "/externals?kind=endpoint", "/map",
            "/map?under=corp/westeurope", "/map?under=corp/westeurope&colour=owner", "/spaces/corp/blocks/westeurope",
            "/journal",
        )
    }  # fmt: skip
    native(sample).put("/me/preferences", {})
    assert not {page: size for page, size in sizes.items() if size > 60_000}, sizes


# ---- bad input


@pytest.mark.parametrize("page", [
    "/plan?size=abc", "/plan?min=999", "/plan?show=all", "/plan?space=nothing", "/plan?at=never", "/map?view=cake",
    "/map?under=nothing/at/all", "/map?under=S/B&part=10.0.0.1/24", "/reserve?size=abc&space=S&block=B",
    "/reserve?cidr=10.0.0.1/24", "/reserve?space=S&block=nothing&size=24", "/reserve?nodes=-1&pods=3",
    "/reservations?sort=colour", "/reservations?after=!!!", "/reservations?space=nothing", "/networks?sort=colour",
    "/networks?after=nothing", "/networks/endpoints?after=nothing", "/map?colour=cake", "/networks/endpoint",
    "/networks/endpoint?id=nothing", "/networks/subnet", "/networks/subnet?id=nothing&name=nothing",
    "/externals?kind=planet", "/sizing?variant=none", "/sizing?variant=overlay&nodes=many",
    "/network", "/network?id=nothing", "/spaces/nothing", "/spaces/S/blocks/nothing", "/new/planet",
    "/spaces/S/blocks/B?bits=x", "/spaces/S/blocks/B/reservations/none", "/spaces/S/blocks/B?from=zzz",
])  # fmt: skip
def test_a_bad_address_has_a_page_that_says_what_is_wrong(live: Live, page: str) -> None:
    small(live)
    answer = visitor(live, "admin").get(page)
    assert answer.status in (400, 404, 409), answer.words
    assert answer.find("h1")
    assert "Traceback" not in answer.text


def test_a_bad_form_keeps_what_was_typed(admin: Visitor) -> None:
    page = admin.get("/new/block?space=S")
    answer = admin.send(page, "/new/block", name="west", cidr="10.9.0.1/16", desc="a region")
    assert answer.status == 400
    assert "did you mean 10.9.0.0/16" in answer.words
    assert answer.fields("/new/block")["cidr"] == "10.9.0.1/16"
    assert answer.fields("/new/block")["name"] == "west"
    taken = admin.send(admin.get("/new/block?space=S"), "/new/block", name="B", cidr="10.9.0.0/16")
    assert (taken.status, "there is a block named B" in taken.words) == (409, True)


# ---- what a planner does


def test_a_prefix_is_found_previewed_reserved_and_seen_to_be_fulfilled(admin: Visitor, live: Live) -> None:
    page = admin.get("/reserve?space=S&block=B&size=22")
    assert "10.0.0.0/22 in B" in page.words
    answer = admin.send(page, "/reserve", desc="shop", reason="ticket 7", days="30")
    assert answer.status == 200
    assert answer.heading == "shop"
    number = answer.place.rpartition("/")[2]
    assert f"X-IPAM-RES-ID={number}" in answer.words
    assert "--address-prefixes 10.0.0.0/22" in answer.words
    assert "Microsoft.Network/virtualNetworks" in answer.words
    assert "azurerm_virtual_network" in answer.words
    assert "waits for its network" in admin.part(f"{answer.place}?part=status").text
    live.cloud.put("shop", "10.0.0.0/22", tags={"X-IPAM-RES-ID": number})
    live.follow()
    part = admin.part(f"{answer.place}?part=status")
    assert "fulfilled" in part.text
    assert "hx-trigger" not in part.text
    assert [row[0] for row in admin.get("/reservations?status=over").rows()[1:]] == ["10.0.0.0/22"]


def test_a_form_that_is_sent_twice_reserves_once(admin: Visitor, api: Client) -> None:
    page = admin.get("/reserve?space=S&block=B&size=24")
    first, second = admin.send(page, "/reserve"), admin.send(page, "/reserve")
    assert first.place == second.place
    assert len(api.at("/api/v1").get("/spaces/S/reservations").json["items"]) == 1


def test_where_there_is_no_room_the_page_says_who_holds_it(admin: Visitor, api: Client) -> None:
    for size in (17, 18, 19):
        api.at("/api/v1").post("/spaces/S/reservations", {"blocks": ["B"], "size": size, "desc": f"the /{size}"})
    page = admin.get("/reserve?space=S&block=B&size=17")
    assert "There is no room for a /17 in B: 10.0.224.0/19 is the largest free prefix of B" in page.words
    assert ["10.0.0.0/17", "reservation", "the /17"] in page.rows()


def test_who_names_no_block_is_shown_those_with_room(looker: Visitor) -> None:
    page = looker.get("/reserve?space=corp&size=22")
    assert "Choose the block:" in page.words
    (westeurope,) = [a for a in page.find("a", class_="button") if "westeurope" in (a.get("href") or "")]
    assert "What it is for" in looker.get(str(westeurope.get("href"))).words
    assert "No block of corp has room for a /4." in looker.get("/reserve?space=corp&size=4").words
    assert "Say how large it is to be" in looker.get("/reserve?space=corp&block=westeurope").words
    assert "northeurope 10.16.0.0/24" in looker.get("/reserve?space=corp&cidr=10.16.0.0/24").words


def test_where_there_is_no_room_the_page_names_blocks_that_have_some(looker: Visitor) -> None:
    page = looker.get("/reserve?space=corp&block=uksouth&size=16")
    assert "A /16 is larger than uksouth (10.32.0.0/17). There is no room for a /16 in uksouth" in page.words
    room = [a for a in page.find("a", class_="button") if "block=northeurope" in (a.get("href") or "")]
    assert "10.19.0.0/16" in "".join(room[0].itertext())


@pytest.mark.parametrize(("asked", "offered"), [
    ("addresses=200", "10.0.0.0/24"), ("addresses=252", "10.0.0.0/23"), ("size=/25", "10.0.0.0/25"),
    ("cidr=10.0.9.0/24", "10.0.9.0/24"), ("size=24&order=highest", "10.0.255.0/24"), ("size=24&count=3", "10.0.2.0/24"),
])  # fmt: skip
def test_how_large_is_said_in_several_ways(admin: Visitor, asked: str, offered: str) -> None:
    assert offered in admin.get(f"/reserve?space=S&block=B&{asked}").words


def test_nodes_and_pods_are_sized_as_the_planner_sizes_them(admin: Visitor) -> None:
    words = admin.get("/reserve?space=S&block=B&nodes=30&pods=50").words
    assert "30 nodes with 50 pods each" in words
    assert "10.0.0.0/21" in words  # 33 nodes at the peak, with 51 addresses each, are 1,683


def test_a_drifting_network_is_associated_by_a_button(admin: Visitor, live: Live) -> None:
    live.cloud.put("stray", "10.0.7.0/24")
    page = admin.get("/networks?tab=findings")
    assert "stray has 10.0.7.0/24" in page.words
    done = admin.send(page, "/networks/associate")
    assert "stray is in B now" in done.words
    assert "Plan and Azure agree" in admin.get("/networks?tab=findings").words
    assert "in the plan" in admin.get("/networks").words


def test_several_drifting_networks_are_associated_at_once(admin: Visitor, live: Live) -> None:
    for number in range(3):
        live.cloud.put(f"drift-{number}", f"10.0.{number}.0/24")
    live.cloud.put("taken", "10.0.0.0/25")
    page = admin.get("/networks?plan=unplanned&q=drift")
    names = {each.get("aria-label"): each.get("value") for each in page.find("input", name="chosen")}
    assert sorted(names) == ["Choose drift-0", "Choose drift-1", "Choose drift-2"]
    everything = admin.get("/networks?plan=unplanned")
    clash = [str(each.get("value")) for each in everything.find("input", name="chosen")]
    refused = admin.send(everything, "/networks/associate-several", chosen=clash)
    assert refused.status == 409, refused.words
    assert len(refused.find("input", name="chosen", checked="")) == 4, "nothing is done, and what was chosen is kept"
    (search,) = refused.find("form", class_="filter")
    assert search.get("action") == "/networks"
    assert admin.send(everything, "/networks/associate-several").status == 400
    done = admin.send(page, "/networks/associate-several", chosen=list(names.values()), reason="CHG-1")
    assert "3 networks are in the plan now." in done.words
    assert not done.find("input", name="chosen"), "what the plan has no room for is not offered"
    assert "Associate with B: network drift-0 has these addresses" in done.words


def test_orphans_are_found_among_endpoints(looker: Visitor) -> None:
    page = looker.get("/networks/endpoints?orphaned=yes")
    rows = page.rows()[1:]
    assert rows
    assert all(row[0].startswith("pe-") and row[0].endswith(" orphaned") for row in rows)
    assert all(row[2] == "Private Endpoint" for row in rows)
    address = rows[0][1]
    (found,) = [row for row in looker.get(f"/networks/endpoints?q={address}").rows()[1:] if row[0] == rows[0][0]]
    assert found[3] in looker.get(f"/addresses/{address}").words
    exported = looker.raw("GET", "/networks/endpoints?orphaned=yes&format=csv").text
    assert sorted(line.split(",")[0] for line in exported.splitlines()[1:]) == sorted(row[1] for row in rows)


def test_several_reservations_are_given_up_at_once(admin: Visitor, api: Client) -> None:
    made = api.at("/api/v1").post("/spaces/S/reservations", {"blocks": ["B"], "size": 24, "count": 3}).json
    page = admin.get("/reservations")
    fields = page.fields("/reservations/cancel") | {"chosen": [f"S/B/{row['id']}" for row in made[:2]], "reason": "no"}
    answer = admin.post("/reservations/cancel", fields)
    assert "2 reservations are given up" in answer.words
    assert [row[1] for row in admin.get("/reservations").rows()[1:]] == [made[2]["cidr"]]
    refused = admin.send(admin.get("/reservations"), "/reservations/cancel")
    assert (refused.status, "choose at least one" in refused.words) == (400, True)


def test_who_is_second_is_told_by_whom_and_what_was_changed(admin: Visitor, api: Client) -> None:
    page = admin.get("/spaces/S/blocks/B")
    api.at("/api/v1").patch("/spaces/S/blocks/B", {"desc": "of the others"})
    answer = admin.send(page, "/spaces/S/blocks/B", desc="mine")
    assert answer.status == 412
    assert "token:first-admin changed it" in answer.words
    assert "desc of the others" in answer.words
    assert answer.fields("/spaces/S/blocks/B")["desc"] == "mine"
    again = admin.send(answer, "/spaces/S/blocks/B")
    assert (again.status, "It is changed" in again.words) == (200, True)
    assert api.at("/api/v1").get("/spaces/S/blocks/B").json["desc"] == "mine"


def test_removing_wants_the_name_and_says_what_goes_with_it(admin: Visitor, api: Client) -> None:
    api.at("/api/v1").post("/spaces/S/reservations", {"blocks": ["B"], "size": 24})
    page = admin.get("/spaces/S/blocks/B")
    assert "It holds 1 object, which go with it: 10.0.0.0/24" in page.words
    action = "/spaces/S/blocks/B/remove"
    assert "type B to confirm" in admin.send(page, action, confirm="b2").words
    assert admin.send(admin.get("/spaces/S/blocks/B"), action, confirm="B").status == 409
    gone = admin.send(admin.get("/spaces/S/blocks/B"), action, confirm="B", force="yes", reason="moved")
    assert (gone.status, gone.heading) == (200, "S")
    assert admin.get("/spaces/S/blocks/B").status == 404


def test_externals_are_made_changed_and_imported(admin: Visitor) -> None:
    made = admin.send(
        admin.get("/new/external?space=S&block=B"), "/new/external", name="site", desc="a site", size="24"
    )
    assert made.place == "/spaces/S/blocks/B/externals/site"
    inner = admin.send(
        admin.get("/new/subnet?space=S&block=B&external=site"), "/new/subnet", name="rack", desc="a rack", size="28"
    )
    assert inner.heading == "rack"
    where = "/new/endpoint?space=S&block=B&external=site&subnet=rack"
    point = admin.send(admin.get(where), "/new/endpoint", name="printer", desc="a printer")
    assert point.heading == "printer"
    assert "10.0.0.1" in point.words
    moved = admin.send(point, point.place, cidr="10.0.0.9")
    assert "10.0.0.9" in moved.words
    lines = "space,block,name,prefix,description\nS,B,lab,10.0.9.0/24,the lab\nS,B,shed,10.0.10.0/24,the shed\n"
    done = admin.send(admin.get("/externals"), "/externals/import", lines=lines)
    assert "2 external networks are made" in done.words
    bad = admin.send(
        admin.get("/externals"), "/externals/import", lines="S,B,new,10.0.11.0/24,x\nS,B,lab,10.0.12.0/24,y"
    )
    assert (bad.status, "line 2: there is a external named lab" in bad.words) == (400, True)
    assert "new" not in [row[1] for row in admin.get("/externals").rows()]


def test_a_cluster_is_sized_and_reserved(admin: Visitor, api: Client) -> None:
    page = admin.get("/sizing?variant=pod-subnet&nodes=30&max_pods=50")
    assert "it works" in page.words
    assert "nodes: 30" in page.fields("/sizing")["yaml"]
    same = admin.send(page, "/sizing", yaml="variant: overlay\npools: [{name: a, nodes: 3}]")
    assert "it works" in same.words
    bad = admin.send(page, "/sizing", yaml="variant: overlay\npools: 7")
    assert bad.status == 400
    assert "pools" in bad.words
    assert bad.fields("/sizing")["yaml"] == "variant: overlay\npools: 7"
    done = admin.send(page, "/sizing/reserve", block="S/B")
    assert "2 prefixes are reserved" in done.words
    rows = api.at("/api/v1").get("/spaces/S/reservations").json["items"]
    assert sorted(row["desc"] for row in rows) == ["cluster: nodes", "cluster: pods"]


# ---- logs that are looked at


LOG = b"2026/11/26 08:00:00 [azure-vnet-ipam] some line\n"


def upload(who: Visitor, name: str, content: bytes) -> tuple[bytes, str]:
    """A form with one file, as a browser sends it."""
    fields = who.get("/diagnose").fields("/diagnose")
    parts = [
        f'--edge\r\nContent-Disposition: form-data; name="{key}"\r\n\r\n{value}\r\n'.encode()
        for key, value in fields.items() if key != "file"
    ]  # fmt: skip
    head = f'--edge\r\nContent-Disposition: form-data; name="file"; filename="{name}"\r\n\r\n'.encode()
    return b"".join([*parts, head, content, b"\r\n--edge--\r\n"]), "multipart/form-data; boundary=edge"


def dropped(who: Visitor, name: str, content: bytes) -> str:
    body, kind = upload(who, name, content)
    headers = {"Content-Type": kind, "Sec-Fetch-Site": "same-origin", "Origin": who.origin}
    answer = who._followed(who.raw("POST", "/diagnose", body, headers))
    assert answer.status == 200, answer.words
    return answer.words


def test_files_and_pasted_text_are_diagnosed_and_not_kept(admin: Visitor) -> None:
    said = dropped(admin, "azure-vnet-ipam.log", LOG * 20)
    assert "azure-vnet-ipam.log" in said
    assert "20" in said
    pasted = admin.send(admin.get("/diagnose"), "/diagnose", text="nothing that anybody knows\n" * 3)
    assert "pasted text" in pasted.words
    nothing = admin.send(admin.get("/diagnose"), "/diagnose")
    assert (nothing.status, "there is nothing to read" in nothing.words) == (400, True)


def test_a_bomb_is_read_up_to_a_limit(admin: Visitor, monkeypatch: pytest.MonkeyPatch) -> None:
    import gzip

    from unipam.server import calculations

    monkeypatch.setattr(calculations, "MOST_UNPACKED", 1 << 20)
    assert "more than 1 MB in all" in dropped(admin, "x.log.gz", gzip.compress(b"line\n" * 1_000_000))


# ---- nothing typed is taken for markup, and nothing exported for a formula

CORPUS = (
    "<script>alert(1)</script>", '"><img src=x onerror=alert(1)>', "{{7*7}}", "javascript:alert(1)", "=1+1", "+1",
    "-1", "@SUM(A1)", "'; DROP TABLE claim; --", "\u202eevil", "a&b<c>", "%0d%0aSet-Cookie: x=1", "${7*7}", "]]>",
    "</textarea>",
)  # fmt: skip


def test_whatever_is_typed_is_shown_as_it_is(admin: Visitor, api: Client) -> None:
    made = []
    for text in CORPUS:
        body = {"blocks": ["B"], "size": 26, "desc": text}
        answer = api.at("/api/v1").post("/spaces/S/reservations", body)
        assert answer.status == (201 if text.isprintable() else 400), text
        made += answer.json if answer.status == 201 else []
    drawn = ("/map?under=S/B", "/map?under=S/B&view=areas", "/map?under=S/B&colour=owner", "/map?colour=age")
    singles = [f"/spaces/S/blocks/B/reservations/{row['id']}" for row in made]
    for page in ("/reservations", "/plan?open=S,S/B", "/spaces/S/blocks/B", *drawn,
                 "/reserve?space=S&block=B&size=16", *singles):  # fmt: skip
        answer = admin.get(page)  # the visitor holds it to having no script of its own
        assert answer.status == 200
    words = admin.get("/reservations").words
    for row in made:
        assert " ".join(row["desc"].split()) in words
    fields = {"/reservations": "q", "/networks": "q", "/externals": "q", "/plan": "open", "/map": "under",
              "/reserve": "desc", "/sizing": "yaml", "/new/block": "desc", "/network": "id", "/leases": "q",
              "/networks/endpoint": "id", "/networks/subnet": "name", "/networks/endpoints": "q", "/journal": "q",
              "/search": "q", "/keys": "x"}  # fmt: skip
    for page, name in fields.items():
        for text in CORPUS:
            assert admin.get(f"{page}?{urllib.parse.urlencode({name: text})}").status in (200, 400, 404, 409)


def test_an_export_has_every_row_and_no_formula(admin: Visitor, api: Client) -> None:
    for text in ("=1+1", "@SUM(A1)", 'plain, with "quotes"'):
        api.at("/api/v1").post("/spaces/S/reservations", {"blocks": ["B"], "size": 26, "count": 60, "desc": text})
    answer = admin.raw("GET", "/reservations?format=csv")
    assert answer.headers["Content-Disposition"] == 'attachment; filename="reservations.csv"'
    rows = list(csv.DictReader(io.StringIO(answer.text)))
    assert len(rows) == 180
    assert {row["desc"] for row in rows} == {"'=1+1", "'@SUM(A1)", 'plain, with "quotes"'}
    assert len(json.loads(admin.raw("GET", "/reservations?format=json").text)) == 180
    for page in ("/plan", "/networks", "/networks?tab=findings", "/externals"):
        mark = "&" if "?" in page else "?"
        assert admin.raw("GET", f"{page}{mark}format=csv").status == 200
        json.loads(admin.raw("GET", f"{page}{mark}format=json").text)


def test_all_free_prefixes_of_a_length_are_exported(admin: Visitor, api: Client) -> None:
    api.at("/api/v1").post("/spaces/S/reservations", {"blocks": ["B"], "size": 17})
    rows = list(csv.DictReader(io.StringIO(admin.raw("GET", "/plan?show=free&size=24&format=csv").text)))
    assert [row["cidr"] for row in rows] == [f"10.0.{number}.0/24" for number in range(128, 256)]


def test_who_asks_for_what_is_free_sees_it_without_opening_anything(looker: Visitor) -> None:
    page = looker.get("/plan?show=free&size=24")
    free = [row[0] for row in page.rows() if row[1:2] == ["free"]]
    assert "10.0.18.0/24" in free  # of the first block
    assert any(each.startswith("172.16.") for each in free), free  # and of one in another space
    assert len(page.text) <= 60_000, len(page.text)
    assert "10.32.66.0/24" not in looker.get("/plan?show=free&size=24&open=corp").words  # what was shut stays so


# ---- what a stranger stumbled over


def test_whatever_the_first_page_names_leads_to_it(looker: Visitor) -> None:
    page = looker.get("/")
    places = [str(a.get("href")) for a in page.find("main")[0].iter("a")]
    assert "/spaces/corp/blocks/uksouth" in places
    assert any("/reservations/" in place for place in places)
    assert "sign-in" not in page.words
    part = looker.part("/overview/findings")
    assert "/networks?tab=findings&severity=error" in [a.get("href") for a in part.find("a")]
    (one,) = [a for a in part.find("a") if "vnet-skunkworks" in "".join(a.itertext())] or part.find("a")[-2:-1]
    assert len(looker.get(str(one.get("href"))).rows()) == 2


def test_a_filter_that_nothing_meets_does_not_say_that_all_is_well(looker: Visitor) -> None:
    page = looker.get("/networks?tab=findings&q=nothing-is-called-so")
    assert "Plan and Azure agree" not in page.words
    assert "Show all findings" in page.words


def test_a_hub_of_whose_addresses_azure_tells_nothing_is_not_said_to_be_empty(looker: Visitor) -> None:
    (row,) = [row for row in looker.get("/networks?q=hub-we").rows() if row[0].startswith("hub-we")]
    assert "%" not in row[-1]


def test_large_numbers_and_long_times_are_read_at_a_glance() -> None:
    assert words.number(3 << 80) == "≈2^81.6"
    assert words.number(1 << 80) == "2^80"
    assert words.duration(90 * 86_400 - 1) == "3 mo"
    assert words.duration(365 * 86_400) == "12 mo"


def test_what_cannot_be_in_a_page_is_not(looker: Visitor) -> None:
    page = looker.get("/search?q=" + urllib.parse.quote("a\ufffe\u200fb"))  # the visitor holds it to the rules of HTML
    assert "a\ufffd\ufffdb" in page.text


# ---- what a role may not do is said, and refused


def test_what_a_role_may_not_do_is_shown_with_the_reason(live: Live) -> None:
    small(live)
    reader = visitor(live, "reader")
    page = reader.get("/spaces/S/blocks/B")
    assert "needs planner on S" in page.words
    assert not page.find("form", action="/spaces/S/blocks/B")
    assert "needs planner on S" in reader.get("/reserve?space=S&block=B&size=24").words
    assert "needs administrator" in reader.get("/networks?tab=findings").words
    assert "needs administrator" in reader.get("/new/space").words
    assert "(hidden)" not in reader.get("/networks").words


def test_who_plans_one_space_of_two_is_not_refused_where_the_other_comes_first(live: Live) -> None:
    small(live)
    api = native(live)
    assert api.post("/spaces", {"name": "A", "desc": "another"}).status == 201
    assert api.post("/spaces/A/blocks", {"name": "B", "cidr": "10.0.0.0/16"}).status == 201
    planner, reader = visitor(live, "planner"), visitor(live, "reader")
    assert planner.get("/reservations").find("a", href="/reserve")
    page = planner.get("/sizing?variant=overlay&nodes=3")
    (blocks,) = page.find("select", name="block")
    assert [option.get("value") for option in blocks.iter("option")] == ["S/B"]
    assert planner.send(page, "/sizing/reserve").status == 200
    assert "needs planner" in reader.get("/sizing?variant=overlay&nodes=3").words
    assert "Reserve: needs planner" in reader.get("/reservations").words


def test_who_may_give_up_no_reservation_has_no_button_for_it(live: Live) -> None:
    small(live)
    page = visitor(live, "reader").get("/reservations")
    assert "needs planner on S, or to be who reserved it" in page.words
    assert not page.find("form", action="/reservations/cancel")
    assert visitor(live, "planner").get("/reservations").find("form", action="/reservations/cancel")


def test_what_a_role_may_not_do_is_refused_all_the_same(live: Live) -> None:
    small(live)
    reader = visitor(live, "reader")
    borrowed = reader.get("/diagnose").fields("/diagnose")
    keep = {name: borrowed[name] for name in ("form", "page")}
    before = native(live).get("/history").json
    for action, fields in {
        "/spaces/S": {"name": "T", "desc": "x"}, "/spaces/S/remove": {"confirm": "S", "force": "yes"},
        "/spaces/S/blocks/B": {"name": "C", "cidr": "10.0.0.0/16"}, "/spaces/S/blocks/B/remove": {"confirm": "B"},
        "/spaces/S/blocks/B/externals/x0": {"name": "y", "desc": "y", "cidr": "10.0.0.0/26"},
        "/spaces/S/blocks/B/externals/x0/remove": {"confirm": "x0"}, "/new/space": {"name": "T", "desc": "x"},
        "/new/block": {"space": "S", "name": "T", "cidr": "10.1.0.0/16"},
        "/reserve": {"space": "S", "block": "B", "size": "24"},
        "/networks/associate": {"space": "S", "block": "B", "id": "/x"},
        "/networks/dissociate": {"space": "S", "block": "B", "id": "/x"},
        "/externals/import": {"lines": "S,B,n,10.0.99.0/24,d"},
        "/sizing/reserve": {"block": "S/B", "yaml": "variant: overlay\npools: [{name: a, nodes: 3}]"},
        "/reservations/cancel": {"chosen": f"S/B/{native(live).get('/spaces/S/reservations').json['items'][0]['id']}"},
    }.items():  # fmt: skip
        assert reader.post(action, keep | fields).status == 403, action
        assert reader.post(action, fields).status == 403, action
    assert native(live).get("/history").json == before


def test_the_past_is_shown_and_cannot_be_changed(looker: Visitor) -> None:
    now, then = looker.get("/plan?open=corp"), looker.get("/plan?open=corp&at=2026-05-01T00:00")
    assert "The plan as it was at 2026-05-01" in then.words
    assert now.rows() != then.rows()
    assert not [link for link in then.find("a") if str(link.get("href")).startswith("/reserve?space")]


@pytest.mark.parametrize("order", ["lowest", "highest", "smallest"])
@pytest.mark.parametrize("count", [2, 3, 40])
def test_several_prefixes_are_drawn_where_they_are(looker: Visitor, order: str, count: int) -> None:
    page = looker.get(f"/reserve?space=corp&block=westeurope&size=24&count={count}&order={order}")
    assert page.status == 200
    for bar in page.find("svg", class_="bar"):
        marks = [(float(mark.get("x", "0")), float(mark.get("width", ""))) for mark in bar.iter("rect")]
        assert all(x >= 0 and width > 0 and x + width <= 1001 for x, width in marks), marks
        drawn = [words_of(mark) for mark in bar.iter("rect") if mark.get("class") == "m-chosen"]
        assert len(drawn) == count


def test_the_parts_of_a_long_node_are_all_of_it(looker: Visitor, sample: Live) -> None:
    place: str | None = "/plan?open=corp,corp/westeurope"
    seen: list[str] = []
    while place:
        part = looker.get(place)
        lines = [row for row in part.find("tr") if row.find("td") is not None]
        inner = [row for row in lines if any(each.get("class") == "lvl l2" for each in row.iter("span"))]
        seen += [words_of(row.find("th")) for row in inner if row.get("class") not in {"more", "earlier"}]
        more = [link for row in inner if row.get("class") == "more" for link in row.iter("a")]
        place = more[0].get("href") if more else None
        assert len(seen) < 2000, "the parts go on for ever"
    rows = native(sample).get("/tree?under=corp/westeurope&limit=1000").json["items"]
    assert len(rows) > 100
    assert seen == [row["cidr"] for row in rows]


@pytest.mark.parametrize("name", ["hub-ne", "hub-uks", "hub-we"])
def test_the_page_of_a_hub_is_small(looker: Visitor, sample: Live, name: str) -> None:
    (hub,) = native(sample).get(f"/cloud/networks?q={name}").json["items"]
    page = looker.get(f"/network?id={hub['id']}")
    assert " networks are connected" in page.words
    assert len(page.text) <= 60_000, len(page.text)


def test_a_number_that_is_too_large_is_called_that(looker: Visitor) -> None:
    page = looker.get("/sizing?variant=overlay&nodes=999999999")
    assert page.status == 400
    assert "nodes: '999999999' is no whole number below 1,000,000" in page.words


def test_the_journal_of_an_object_is_shown_without_scripts_too(looker: Visitor, sample: Live) -> None:
    (waiting, *_) = native(sample).get("/objects?kind=reservation&space=corp&block=pods").json["items"]
    for place, name in (
        ("/spaces/corp/blocks/hubs", "hubs"),
        (f"/spaces/corp/blocks/pods/reservations/{waiting['id']}", waiting["id"]),
    ):
        link = next(link for link in looker.get(place).find("a") if words_of(link) == "Show it in the journal")
        lines = json.loads(looker.get(f"{link.get('href')}&format=json").text)
        assert {line["name"] for line in lines} == {name}


@pytest.mark.parametrize("block", ["pods", "corp-v6"])
def test_the_lines_that_make_the_network_have_its_prefix_and_tag(looker: Visitor, sample: Live, block: str) -> None:
    (waiting, *_) = native(sample).get(f"/objects?kind=reservation&space=corp&block={block}").json["items"]
    page = looker.get(f"/spaces/corp/blocks/{block}/reservations/{waiting['id']}")
    texts = ["".join(each.itertext()) for each in page.find("pre")]
    assert len(texts) == 3
    for text in texts:
        assert waiting["cidr"] in text
        assert waiting["id"] in text
        assert ("ipv4" in text.lower()) == (block == "corp-v6"), "a network in Azure has IPv4 in any case"


def test_what_is_open_is_open_with_what_it_lies_in(looker: Visitor) -> None:
    """The map leads to one node, and so do links that people write."""
    rows = looker.get("/plan?open=corp/westeurope/we-aks").rows()
    assert rows == looker.get("/plan?open=corp,corp/westeurope,corp/westeurope/we-aks").rows()
    assert len(rows) > 20


def test_the_past_is_not_called_what_it_is_not(looker: Visitor) -> None:
    future = looker.get("/plan?at=2199-01-01T00:00").words
    assert "2199-01-01 00:00:00 UTC is still to come" in future
    assert "as it was" not in future.replace("Show the plan as it was at", "")
    for page in ("/plan", "/map"):
        before = looker.get(f"{page}?at=1999-01-01T00:00").words
        assert "Nothing was planned then" in before, before
        assert "with the button above" not in before
    then = looker.get("/plan?at=2026-05-01T00:00&open=corp")
    assert then.find("a", href="/spaces/corp?at=2026-05-01T00%3A00")


@pytest.mark.parametrize("page", [
    "/plan?open=corp/hubs", "/plan?open=corp/westeurope/we-aks", "/map?under=corp/hubs",
    "/map?under=corp/hubs/10.63.0.0/23", "/search?q=hub-we", "/spaces/corp/blocks/hubs", "/addresses/10.63.0.7",
])  # fmt: skip
def test_links_of_the_past_lead_somewhere(looker: Visitor, page: str) -> None:
    joined = page + ("&" if "?" in page else "?") + "at=2026-05-01T00:00"
    shown = looker.get(joined)
    places = {str(link.get("href")) for link in shown.find("a") if str(link.get("href", "#"))[0] == "/"}
    for place in places - {"/api/docs"}:
        assert place.count("?") <= 1, place
        assert looker.get(place).status == 200, place


def test_a_later_part_leads_back_to_the_first(looker: Visitor) -> None:
    first = looker.get("/plan?open=corp,corp/westeurope")
    assert not first.find("tr", class_="earlier")
    (more,) = [link for row in first.find("tr", class_="more") for link in row.iter("a")]
    later = looker.get(str(more.get("href")))
    (back,) = [link for row in later.find("tr", class_="earlier") for link in row.iter("a")]
    assert words_of(back) == "westeurope from its beginning"
    again = looker.get(str(back.get("href")))
    assert again.rows() == first.rows()


def test_what_is_opened_in_a_later_part_is_shown_there(looker: Visitor) -> None:
    first = looker.get("/plan?open=corp,corp/westeurope")
    (more,) = [link for row in first.find("tr", class_="more") for link in row.iter("a")]
    later = looker.get(str(more.get("href")))
    toggle = next(link for link in later.find("a", class_="toggle") if "vnet-" in str(link.get("aria-label")))
    opened = looker.get(str(toggle.get("href")))
    (here,) = opened.find("a", id=str(toggle.get("id")))
    assert here.get("aria-expanded") == "true"
    assert looker.get(str(here.get("href"))).rows() == later.rows(), "and shut it is as before"


def test_the_commands_that_pages_show_are_commands(looker: Visitor) -> None:
    for page in (
        "/plan?open=corp/westeurope&size=24&show=free", "/reservations?space=corp&status=over", "/networks?plan=gone",
        "/externals?kind=subnet", "/map?under=corp/pods", "/spaces/corp/blocks/pods", "/networks?tab=findings",
        "/reserve?space=corp&block=pods&size=20",
    ):  # fmt: skip
        texts = [str(button.get("data-copy")) for button in looker.get(page).find("button", class_="quiet")]
        shown = next(text for text in texts if text.startswith("unipam "))
        command: click.Command = unipam
        words = shlex.split(shown)[1:]
        while isinstance(command, click.Group):
            inner = command.get_command(click.Context(command), words.pop(0))
            assert inner is not None, shown
            command = inner
        command.make_parser(click.Context(command)).parse_args(words)
