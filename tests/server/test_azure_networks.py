"""Networks of blocks in the Azure IPAM API: refusals, hubs, lost ones, and how their ids are written."""

from __future__ import annotations

from tests.server.live import Client, Live, refused

B = "/spaces/S/blocks/B"


def test_hubs_and_lost_networks_never_break_a_listing(live: Live, api: Client) -> None:
    hub = live.cloud.put("hub", "10.0.4.0/24", hub=True)
    lost = live.cloud.put("lost", "10.0.5.0/24")
    for each in (hub, lost):
        assert api.post(f"{B}/networks", {"id": each}).status == 201
    live.cloud.drop(lost)
    names = [v["name"] for v in api.get(f"{B}?expand=true&utilization=true").json["vnets"]]
    assert names == ["hub", "lost"]
    assert api.get("/azure/vhub").json[0]["parent_block"] == ["B"]
    live.follow()
    assert [n["active"] for n in api.get(f"{B}/networks").json] == [True, False]


def test_network_refusals_speak_as_the_original_does(live: Live, api: Client) -> None:
    inside, outside = live.cloud.put("in", "10.0.0.0/24"), live.cloud.put("out", "11.0.0.0/24")
    api.post(f"{B}/networks", {"id": inside})
    refused(api.post(f"{B}/networks", {"id": inside.upper()}), 400, "Network already exists in block.")
    refused(api.post(f"{B}/networks", {"id": "/nope"}), 400, "Invalid network ID.")
    refused(api.post(f"{B}/networks", {"id": outside}), 400, "Network CIDR not within block CIDR.")
    refused(
        api.post(f"{B}/networks", {"id": live.cloud.put("half", "10.0.0.128/25")}), 400,
        "Block already contains network(s) and/or reservation(s) within the CIDR range of target network.",
    )  # fmt: skip
    refused(api.put(f"{B}/networks", [inside, inside]), 400, "List contains duplicate networks.")
    refused(api.put(f"{B}/networks", ["/nope"]), 400, "Invalid network ID(s): ['/nope']")
    refused(api.delete(f"{B}/networks", ["/nope"]), 400, "List contains one or more invalid network id's.")
    refused(api.delete(B), 400, "Cannot delete block while it contains vNets or reservations.")
    assert api.get(f"{B}/available").json == [inside]


def test_an_id_comes_back_as_it_was_written(live: Live, api: Client) -> None:
    """The community Terraform provider looks for the very text that it posted, in the expanded list too."""
    first, second = live.cloud.put("first", "10.0.0.0/24"), live.cloud.put("second", "10.0.1.0/24")

    def listed() -> list[list[str]]:
        views = [api.get(f"{B}/networks"), api.get(f"{B}/networks?expand=true")]
        return [[row["id"] for row in view.json] for view in views] + [[row["id"] for row in api.get(B).json["vnets"]]]

    assert api.post(f"{B}/networks", {"id": first.upper()}).json["vnets"] == [{"id": first.upper(), "active": True}]
    assert listed() == [[first.upper()]] * 3
    wanted = [second.lower(), first.swapcase()]
    assert [row["id"] for row in api.put(f"{B}/networks", wanted).json] == wanted
    live.cloud.put("first", "10.0.0.0/24", "10.0.9.0/24")
    live.cloud.put("second", "10.0.2.0/24")  # it moved: what follows it keeps the id
    live.follow()
    assert [sorted(ids) for ids in listed()] == [sorted(wanted)] * 3
    live.cloud.drop(second)
    live.follow()
    assert [sorted(ids) for ids in listed()] == [sorted(wanted)] * 3
    assert api.delete(f"{B}/networks", [second.upper(), first]).status == 200
    native = api.at("/api/v1")
    assert native.post("/spaces/S/blocks/B/networks", {"id": first.upper()}).json["id"] == first.upper()
