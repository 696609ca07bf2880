"""The lines of *Share*: the command and the curl line ask for what the page shows, whatever was typed."""

from __future__ import annotations

import json
import shlex
import subprocess
import urllib.parse
from typing import Any

import pytest
from click.testing import CliRunner
from tests.server.live import Live
from tests.server.pages.test_plan_pages import visitor
from tests.server.pages.visitor import Visitor

from unipam.cli.main import unipam

LISTS = {
    "/reservations": "id",
    "/reservations?status=over&sort=-created": "id",
    "/reservations?space=corp&block=westeurope&q=shop": "id",
    "/networks?space=corp&overlap=yes": "id",
    "/networks?overlap=no&sort=-size": "id",
    "/networks?q=10.0.0.0/21": "id",
    "/networks?q=northeurope&plan=associated": "id",
    "/networks?tab=findings": "message",
    "/networks?tab=findings&severity=warning&space=corp&q=legacy": "message",
    "/networks?tab=findings&rule=network-vanished": "message",
    "/networks/endpoints?orphaned=yes": "id",
    "/networks/endpoints?orphaned=no&q=10.16.0.0/13&sort=private_ip": "id",
    "/externals?q=dub": "cidr",
    "/externals?kind=endpoint&sort=-name": "cidr",
    "/externals?space=partner": "cidr",
    "/journal?under=10.0.0.0/14&verb=create": "number",
    "/journal?actor=ada@example.org&from=2000-01-01T00:00": "number",
    "/journal?name=we-aks": "number",
    "/forecast?space=corp&horizon=90": "block",
}
PLANS = (
    "/plan", "/plan?space=corp&show=free&min=20&max=22", "/plan?open=corp,corp/hubs", "/plan?size=18&show=free",
    "/plan?space=corp&open=-",
)  # fmt: skip
SINGLE = (
    "/", "/search?q=shop", "/search?q=10.12.4.7", "/status", "/map?under=corp/hubs", "/spaces/corp",
    "/spaces/corp/blocks/hubs", "/spaces/corp/blocks/hubs/forecast?horizon=9", "/addresses/10.12.4.7", "/access", "/me",
    "/reserve?space=corp&block=westeurope,northeurope&size=22&count=2&order=highest",
    "/reserve?space=corp&block=hubs&cidr=10.63.8.0/24", "/reserve?space=corp&block=hubs",
)  # fmt: skip
ODD = "a 'b' \"c\" $(touch x) `touch x`; touch x"


@pytest.fixture(scope="module")
def looker(sample: Live) -> Visitor:
    """An administrator who looks at the sample plan."""
    return visitor(sample, "admin")


class Lines:
    """What a page offers to copy; "" where it offers none."""

    def __init__(self, live: Live, looker: Visitor, place: str) -> None:
        self._live, self._api = live, live.admin.at("")
        texts = [str(each.get("data-copy")) for each in looker.get(place).find("button") if each.get("data-copy")]
        self.command = next((text for text in texts if text.startswith("unipam ")), "")
        self.curl = next((text for text in texts if text.startswith("curl ")), "")

    def asked(self) -> Any:
        """What the API answers to the curl line: of a listing all parts."""
        sent, address = self._read()
        parts = urllib.parse.urlsplit(address)
        target = f"{parts.path}?{parts.query}".removesuffix("?")
        if sent is not None:
            answer = self._api.post(target, sent)
            assert answer.status in (200, 201), answer
            return answer.json
        found = self._api.get(target)
        assert found.status == 200, (target, found)
        items, part = [], found.json
        while isinstance(part, dict) and "items" in part:
            items += part["items"]
            if part["next"] is None:
                return items
            after = urllib.parse.urlencode({"after": part["next"]})
            part = self._api.get(f"{target}{'&' if parts.query else '?'}{after}").json
        return part

    def _read(self) -> tuple[Any, str]:
        words = shlex.split(self.curl)
        assert words[:3] == ["curl", "-H", "Authorization: Bearer $UNIPAM_TOKEN"]
        data = json.loads(words[words.index("-d") + 1]) if "-d" in words else None
        return data, words[-1]

    def printed(self) -> Any:
        """What the command prints as JSON."""
        known = {"UNIPAM_SERVER": f"http://127.0.0.1:{self._live.admin.port}", "UNIPAM_TOKEN": self._live.admin.token}
        done = CliRunner().invoke(unipam, [*shlex.split(self.command)[1:], "-o", "json"], env=known)
        assert done.exit_code == 0, (self.command, done.output)
        return json.loads(done.stdout)["items"]


@pytest.mark.parametrize("place", LISTS)
def test_command_and_curl_ask_for_the_rows_of_the_page(sample: Live, looker: Visitor, place: str) -> None:
    lines, name = Lines(sample, looker, place), LISTS[place]
    joined = place + ("&" if "?" in place else "?") + "format=json"
    shown = sorted(str(row[name]) for row in json.loads(looker.get(joined).text))
    assert shown, "a filter that finds nothing proves nothing"
    assert sorted(str(row[name]) for row in lines.asked()) == shown
    assert sorted(str(row[name]) for row in lines.printed()) == shown


@pytest.mark.parametrize("place", PLANS)
def test_command_and_curl_ask_for_the_part_of_the_plan(sample: Live, looker: Visitor, place: str) -> None:
    lines = Lines(sample, looker, place)
    asked = _flat(lines.asked())
    assert asked == _flat(lines.printed())
    shown = {row[0] for row in looker.get(place).rows()[1:]} - {"corp", "partner", "sandbox"}
    if "open=" not in place:
        assert {cidr for cidr in shown if "/" in cidr} <= set(asked)


def _flat(rows: list[dict[str, Any]]) -> list[str]:
    return [cidr for row in rows for cidr in (row["cidr"], *_flat(row["items"]))]


def test_the_past_is_asked_for_as_the_past(sample: Live, looker: Visitor) -> None:
    now, then = (Lines(sample, looker, f"/plan?open=corp,corp/pods{at}") for at in ("", "&at=2026-05-01T00:00"))
    assert _flat(then.asked()) == _flat(then.printed())
    assert _flat(now.asked()) != _flat(then.asked())
    at_map = Lines(sample, looker, "/map?under=corp/pods&at=2026-05-01T00:00")
    assert _flat(at_map.asked()) == _flat(then.asked())
    assert not Lines(sample, looker, "/addresses/10.12.4.7?at=2026-05-01T00:00").command


@pytest.mark.parametrize("place", SINGLE)
def test_what_is_offered_is_answered(sample: Live, looker: Visitor, place: str) -> None:
    lines = Lines(sample, looker, place)
    assert not lines.curl or lines.asked()
    assert not lines.command or lines.printed()


def test_a_reservation_is_asked_for_as_the_page_previews_it(sample: Live, looker: Visitor) -> None:
    place = "/reserve?space=corp&block=westeurope&size=22&count=2&order=highest"
    lines = Lines(sample, looker, place)
    told = [row["cidr"] for row in lines.asked()]
    assert [row["cidr"] for row in lines.printed()] == told
    assert all(cidr in looker.get(place).words for cidr in told)


def test_what_is_computed_is_sent(sample: Live, looker: Visitor) -> None:
    assert "--data-binary @cluster.yaml" in Lines(sample, looker, "/sizing").curl
    assert "-F file=@FILE" in Lines(sample, looker, "/diagnose").curl


@pytest.mark.parametrize("place", [
    "/reservations?q={}", "/networks?q={}", "/networks?tab=findings&q={}", "/networks/endpoints?q={}",
    "/externals?q={}", "/journal?actor={}", "/journal?name={}", "/search?q={}",
])  # fmt: skip
def test_what_was_typed_is_one_word_of_the_shell(sample: Live, looker: Visitor, place: str) -> None:
    """Whoever sends a link must not have a line run that its reader copies."""
    lines = Lines(sample, looker, place.format(urllib.parse.quote(ODD)))
    for line in (lines.command, lines.curl):
        script = line.replace("unipam ", "printf '%s\\n' ", 1).replace("curl ", "printf '%s\\n' ", 1)
        done = subprocess.run(
            ["sh", "-c", script], capture_output=True, text=True, check=True, env={"UNIPAM_TOKEN": "t"}
        )
        assert ODD in done.stdout or urllib.parse.quote_plus(ODD, safe="/") in done.stdout, line
