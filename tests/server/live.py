"""A register that really serves: uvicorn on loopback in a thread, and a small client that speaks HTTP to it."""

from __future__ import annotations

import contextlib
import http.client
import json
import threading
import urllib.parse
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.plan.clouds import MemoryCloud

from unipam.server.run import Settings, follow_once, make_app, make_server, prepare


@dataclass
class Answer:
    """What came back."""

    status: int
    headers: http.client.HTTPMessage
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def error(self) -> str:
        return str(self.json["error"])


@dataclass
class Client:
    """Speaks to a register as one caller; every request on a connection of its own, so threads may share it."""

    port: int
    token: str = ""
    base: str = "/api"

    def as_(self, token: str) -> Client:
        return Client(self.port, token, self.base)

    def at(self, base: str) -> Client:
        return Client(self.port, self.token, base)

    def ask(self, method: str, path: str, body: Any = None, headers: dict[str, str] | None = None) -> Answer:
        raw = body if isinstance(body, bytes) else None if body is None else json.dumps(body).encode()
        sent = {"Content-Type": "application/json"} if raw is not None else {}
        if self.token:
            sent["Authorization"] = f"Bearer {self.token}"
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)
        with contextlib.closing(connection):
            connection.request(
                method, urllib.parse.quote(self.base + path, safe="/?=&%:,"), raw, sent | (headers or {})
            )
            got = connection.getresponse()
            return Answer(got.status, got.headers, got.read())

    def get(self, path: str, **headers: str) -> Answer:
        return self.ask("GET", path, None, headers)

    def post(self, path: str, body: Any, **headers: str) -> Answer:
        return self.ask("POST", path, body, headers)

    def put(self, path: str, body: Any, **headers: str) -> Answer:
        return self.ask("PUT", path, body, headers)

    def patch(self, path: str, body: Any, **headers: str) -> Answer:
        return self.ask("PATCH", path, body, headers)

    def delete(self, path: str, body: Any = None, **headers: str) -> Answer:
        return self.ask("DELETE", path, body, headers)

    def change(self, path: str, **values: str) -> Answer:
        return self.patch(path, [{"op": "replace", "path": f"/{k}", "value": v} for k, v in values.items()])


def refused(answer: Answer, status: int, text: str) -> None:
    """The answer is this refusal of the Azure IPAM API."""
    assert (answer.status, answer.error) == (status, text), answer.body


def token(api: Client, name: str, role: str, *spaces: str) -> Client:
    """A caller with a new local token of this role."""
    made = api.at("/api/v1").post("/tokens", {"name": name, "role": role, "spaces": list(spaces)})
    assert made.status == 201, made.body
    return api.as_(made.json["token"])


@dataclass
class Live:
    """One running register."""

    admin: Client
    cloud: MemoryCloud
    settings: Settings
    app: Any = field(repr=False, default=None)
    loop: Any = field(repr=False, default=None)
    server: Any = field(repr=False, default=None)

    def follow(self) -> int:
        """Bring the plan up to the cloud now, as the background does from time to time."""
        import asyncio

        register = self.app.state.register
        return asyncio.run_coroutine_threadsafe(follow_once(register), self.loop).result(60)


@contextlib.contextmanager
def serve(database: str, place: Path, **more: Any) -> Iterator[Live]:
    """A register on this database, with an administrator's client; it is gone at the end."""
    cloud = more.pop("cloud", None) or MemoryCloud()
    token_file = place / "admin-token"
    settings = Settings(
        database,
        admin_token_file=str(token_file),
        cloud=lambda: cloud,
        sync=3600.0,
        port=0,
        **more,
    )
    prepare(settings)
    app = make_app(settings)
    server = make_server(settings, app)
    ready = threading.Event()
    port = server.listening[0].getsockname()[1]
    live = Live(Client(port, token_file.read_text().strip()), cloud, settings, app, server=server)

    async def main() -> None:
        import asyncio

        live.loop = asyncio.get_running_loop()
        task = asyncio.create_task(server.serve())
        while not server.started and not task.done():
            await asyncio.sleep(0.01)
        ready.set()
        await task

    def run() -> None:
        import asyncio

        try:
            asyncio.run(main())
        finally:
            ready.set()

    thread = threading.Thread(target=run)
    thread.start()
    try:
        assert ready.wait(30)
        assert server.started
        yield live
    finally:
        server.should_exit = True
        thread.join(60)
