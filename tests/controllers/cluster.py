"""An API server that knows Leases and nothing else, for processes that contend for one."""

from __future__ import annotations

import json
import threading
from typing import Any
from urllib.parse import urlsplit

from tests.clients.fake_api_server import Asked, Say, status


class Leases:
    """Answers as an API server does, by revisions. `away` lets it say that it cannot."""

    def __init__(self) -> None:
        self.stored: dict[str, dict[str, Any]] = {}
        self.away = False
        self.asked: list[Asked] = []
        self._revision = 1
        self._lock = threading.Lock()

    def __call__(self, asked: Asked) -> Say:
        with self._lock:
            self.asked.append(asked)
            if self.away:
                return status(503, "ServiceUnavailable", "away")
            return self._answer(asked)

    def holder(self) -> str:
        """Who holds the one lease there is; empty for nobody."""
        with self._lock:
            return next((str(each["spec"].get("holderIdentity")) for each in self.stored.values()), "")

    def _answer(self, asked: Asked) -> Say:
        url = urlsplit(asked.target)
        if "watch=1" in url.query:
            return Say(200, [])
        name = asked.body["metadata"]["name"] if asked.method == "POST" else url.path.rpartition("/")[2]
        found = self.stored.get(name)
        if asked.method == "POST":
            return status(409, "AlreadyExists", "it is there", name) if found else self._store(name, asked.body)
        if found is None:
            return status(404, "NotFound", "it is not there", name)
        if asked.method == "GET":
            return Say(200, found)
        if asked.body["metadata"]["resourceVersion"] != found["metadata"]["resourceVersion"]:
            return status(409, "Conflict", "it has been changed", name)
        return self._store(name, asked.body)

    def _store(self, name: str, body: dict[str, Any]) -> Say:
        self._revision += 1
        made = json.loads(json.dumps(body))
        made["metadata"]["resourceVersion"] = str(self._revision)
        self.stored[name] = made
        return Say(200, made)
