"""People who click: each with a session, on the links of the page that they see, at one of two server processes."""

from __future__ import annotations

import asyncio
import html
import random
import re
import time
import urllib.parse
from collections.abc import Sequence
from dataclasses import dataclass, field

_LINK = re.compile(r'href="(/[^"#]*)')
_LEFT = re.compile(r"^/(assets|auth|api|docs)/|[?&]format=")
"""What is no page: assets, signing out, and files for downloading."""
THINK = (1.0, 5.0)
"""Seconds between a page and the next click: uniform between these."""
AFRESH = 0.2
"""How often somebody takes one of the pages of the navigation, and no link of the page."""
_PATIENCE = 30.0


@dataclass
class Seen:
    """What all people together have seen: seconds from click to page, answers by status, and who had to try again."""

    took: list[tuple[float, str]] = field(default_factory=list)
    statuses: dict[int, int] = field(default_factory=dict)
    failed: list[str] = field(default_factory=list)
    retried: int = 0
    lost: int = 0

    def quantile(self, share: float) -> float:
        """Return how long the click took that this share of all clicks was quicker than."""
        return sorted(self.took)[int(share * (len(self.took) - 1))][0]


class Person:
    """Somebody who signed in; `ports` are where the register answers, the one that is asked first in front."""

    def __init__(self, ports: Sequence[int], dice: random.Random, seen: Seen) -> None:
        self.ports = list(ports)
        self._dice = dice
        self._seen = seen
        self._key = ""

    async def sign_in(self, token: str) -> None:
        """Open a session. Raises RuntimeError when there is none."""
        body = urllib.parse.urlencode({"token": token, "next": "/status"})
        head, _ = await self._exchange("POST", "/auth/token", body)
        found = re.search(r"(?i)set-cookie: unipam-\d+=([\w-]+)", head)
        if found is None:
            raise RuntimeError(f"no session: {head[:300]}")
        self._key = found[1]

    async def click_until(self, end: float, starts: Sequence[str]) -> None:
        """Click, look, and click again."""
        page, place = "", starts[0]
        await asyncio.sleep(self._dice.uniform(0, THINK[1]))
        while time.monotonic() < end:
            page = await self.click(place)
            await asyncio.sleep(self._dice.uniform(*THINK))
            place = self._next(page, starts)

    def _next(self, page: str, starts: Sequence[str]) -> str:
        links = [html.unescape(each) for each in _LINK.findall(page)]
        pages = [each for each in links if not _LEFT.search(each)]
        return self._dice.choice(starts if self._dice.random() < AFRESH or not pages else pages)

    async def click(self, place: str) -> str:
        """Return a page, at the second attempt from the other process; write down how long that took."""
        begun = time.perf_counter()
        for attempt in range(len(self.ports)):
            try:
                head, page = await asyncio.wait_for(self._exchange("GET", place), _PATIENCE)
            except (TimeoutError, OSError, asyncio.IncompleteReadError):
                self._move(attempt)
            else:
                self._note(place, int(head.split()[1]), time.perf_counter() - begun)
                return page.decode()
        self._seen.lost += 1
        return ""

    def _move(self, attempt: int) -> None:
        """Go on at the other process."""
        self._seen.retried += attempt == 0
        self.ports = [*self.ports[1:], self.ports[0]]

    def _note(self, place: str, status: int, took: float) -> None:
        self._seen.took.append((took, place))
        self._seen.statuses[status] = self._seen.statuses.get(status, 0) + 1
        if status >= 400:
            self._seen.failed.append(f"{status} {place}")

    async def _exchange(self, method: str, place: str, body: str = "") -> tuple[str, bytes]:
        """Send one request, on a connection of its own, and return the head and the body of its answer."""
        reader, writer = await asyncio.open_connection("127.0.0.1", self.ports[0], limit=1 << 20)
        try:
            writer.write(self._request(method, place, body))
            head = (await reader.readuntil(b"\r\n\r\n")).decode()
            size = re.search(r"(?i)content-length: (\d+)", head)
            return head, await (reader.readexactly(int(size[1])) if size else reader.read())
        finally:
            writer.close()

    def _request(self, method: str, place: str, body: str) -> bytes:
        host = f"127.0.0.1:{self.ports[0]}"
        lines = [f"{method} {place} HTTP/1.1", f"Host: {host}", "Accept: text/html", "Connection: close"]
        if self._key:
            lines.append(f"Cookie: unipam-{self.ports[0]}={self._key}")
        if body:
            kind = "application/x-www-form-urlencoded"
            lines += [f"Origin: http://{host}", f"Content-Type: {kind}", f"Content-Length: {len(body)}"]
        return ("\r\n".join(lines) + f"\r\n\r\n{body}").encode()
