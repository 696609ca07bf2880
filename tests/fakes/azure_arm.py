"""The fake's Resource Manager: resources by id, lists in pages, writes that take their time.

Manners are those of the ARM fixtures' README ("Paging", "Long-running operations", "ETag and If-Match", "Error
bodies"). One write at a time in a virtual network. What is written is shown by Resource Graph at once, or, with
`stale`, not before `catch_up`.
"""

from __future__ import annotations

import math
import re
import threading
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Protocol

import msgspec
from tests.fakes.azure_http import Answer, Refused, Request
from tests.fakes.azure_rules import check

FINAL = ("Succeeded", "Failed", "Canceled")
_OPERATION = re.compile(r"/subscriptions/[^/]+/providers/Microsoft.Network/locations/fake/operations/([^/]+)")
_INTERFACE = re.compile(r"(.+/virtualmachinescalesets/[^/]+)/virtualmachines/[^/]+/networkinterfaces/[^/]+")


@dataclass
class Operation:
    """A write under way on `target`; it ends with `error` where it is to fail.

    That is after so many more polls, or, where the fake has a clock, when it is time.
    """

    id: str
    target: str
    polls: int
    removes: bool = False
    error: tuple[str, str] | None = None
    status: str = "InProgress"
    ends: float = math.inf
    wrote: dict[str, Any] | None = None


def _is_in(key: str, path: str) -> bool:
    """Whether a list holds a resource; that of a scale set's interfaces those of its machines."""
    interface = _INTERFACE.fullmatch(key)
    return key.rpartition("/")[0] == path or bool(interface and path == f"{interface[1]}/networkinterfaces")


class Hook(Protocol):
    """What a write does to other resources."""

    def check(self, path: str, body: dict[str, Any]) -> None:
        """Look at what is to be stored. Raises Refused."""

    def begun(self, path: str, body: dict[str, Any]) -> None:
        """It is stored, and the operation has begun."""

    def ended(self, path: str, body: dict[str, Any], *, well: bool) -> None:
        """The operation has ended."""


class Resources:
    """What there is. `page` is how many rows a list gives at a time."""

    def __init__(self) -> None:
        self.base = ""
        self.page = 100
        self.polls = 2
        self.retry_after = "0"
        """Fast, which the real service is not: it says 10 or more."""
        self.clock: Callable[[], float] | None = None
        self.takes = 0.0
        """Seconds until a write has ended, by `clock`."""
        self.terse = False
        """Whether a write is answered by 202, a `Location`, and nothing of what was written."""
        self.stale = False
        self.lags: Callable[[str], float] = lambda _: 0.0
        """Says of a path in lower case, by its reader, for how many seconds what was written there is not seen."""
        self.empty_first_page = False
        self.next_host = ""
        """Where a list is said to go on, instead of here."""
        self.fail_next: tuple[str, str] | None = None
        self.hooks: dict[str, Hook] = {}
        """By a part of a path: who has a say in writes there."""
        self.shows: dict[str, Callable[[dict[str, Any]], dict[str, Any]]] = {}
        """By an id in lower case: how a resource is shown that depends on others."""
        self.in_lists: dict[str, Callable[[dict[str, Any]], dict[str, Any]]] = {}
        """By an id in lower case: how lists show a resource."""
        self._all: dict[str, dict[str, Any]] = {}
        self._before: dict[str, tuple[float, dict[str, Any]]] = {}
        """By id: when a resource was last written, and how it was before."""
        self._listings: dict[str, list[str]] = {}
        """By path: the ids that a list holds, as long as none comes or goes."""
        self._graph: dict[str, dict[str, Any]] = {}
        self._operations: dict[str, Operation] = {}
        self._running: dict[str, Operation] = {}
        self._lock = threading.RLock()

    # What a test does with its own hands

    def put(self, resource_id: str, properties: dict[str, Any], **fields: Any) -> str:
        """Make or replace a resource, done at once. `fields`: tags, sku, kind, location."""
        self._store(resource_id, {"provisioningState": "Succeeded", **properties}, fields)
        return resource_id

    def drop(self, resource_id: str) -> None:
        """A resource, and what is in it, is gone."""
        with self._lock:
            for key in [k for k in self._all if f"{k}/".startswith(f"{resource_id.lower()}/")]:
                del self._all[key]
                self._listings.clear()
            self._publish()

    def catch_up(self) -> None:
        """Resource Graph sees everything that was written."""
        with self._lock:
            self._graph = _copied(self._all)

    def shown(self) -> list[dict[str, Any]]:
        """What Resource Graph sees."""
        with self._lock:
            return list(self._graph.values())

    def get(self, resource_id: str) -> dict[str, Any] | None:
        """A resource as it is."""
        with self._lock:
            found = self._all.get(resource_id.lower())
        return None if found is None else dict(_copied(found))

    def raw(self, resource_id: str) -> dict[str, Any]:
        """A resource itself, to be changed."""
        return self._all[resource_id.lower()]

    def everything(self) -> dict[str, dict[str, Any]]:
        """All resources themselves, by their ids in lower case."""
        return self._all

    def _publish(self) -> None:
        if not self.stale:
            self.catch_up()

    def _store(self, resource_id: str, properties: dict[str, Any], fields: dict[str, Any]) -> dict[str, Any]:
        parts = resource_id.rpartition("/providers/")[2].split("/")
        resource: dict[str, Any] = {
            "id": resource_id,
            "name": parts[-1],
            "type": "/".join([parts[0], *parts[1::2]]),
            "etag": f'W/"{uuid.uuid4()}"',
            "properties": _copied(properties),
            **fields,
        }
        _name_children(resource)
        with self._lock:
            if resource_id.lower() not in self._all:
                self._listings.clear()
            self._all[resource_id.lower()] = resource
            self._publish()
        return resource

    # What is asked over HTTP

    def serve(self, request: Request) -> Answer:
        """Answer a request for anything under a subscription. Raises Refused."""
        with self._lock:
            self.settle()
            operation = _OPERATION.fullmatch(request.path)
            if operation:
                return self._poll(operation[1], request.query.get("kind") == "location")
            if request.method == "GET":
                return self._get(request)
            if request.method == "PUT":
                return self._put(request)
            if request.method == "DELETE":
                return self._delete(request)
        raise Refused(405, "HttpMethodNotSupported", f"{request.method} is not supported.")

    def _get(self, request: Request) -> Answer:
        found = self._seen(request.path.lower())
        if found is not None:
            show = self.shows.get(request.path.lower())
            return Answer(200, show(found) if show else found, {"ETag": found.get("etag", "")})
        if len(request.path.rpartition("/providers/")[2].split("/")) % 2 == 0:
            return self.listed(request, list(self._children(request.path)))
        raise Refused(404, "ResourceNotFound", f"The Resource '{request.path}' was not found.")

    def _children(self, path: str) -> Iterator[dict[str, Any]]:
        """What a list holds: parts of a virtual network, interfaces of a scale set, or resources by their ids."""
        parent, _, kind = path.lower().rpartition("/")
        inside = self._all.get(parent, {}).get("properties", {})
        if kind == "subnets":
            yield from inside.get("subnets", [])
            return
        for key in self._listing(path.lower()):
            found = self._seen(key) or self._all[key]
            yield self.in_lists[key](found) if key in self.in_lists else found

    def _listing(self, path: str) -> list[str]:
        """The ids of what a list holds."""
        if path not in self._listings:
            self._listings[path] = [key for key in self._all if _is_in(key, path)]
        return self._listings[path]

    def _seen(self, key: str) -> dict[str, Any] | None:
        """A resource as a reader sees it, who may be behind what was written."""
        at, before = self._before.get(key, (-math.inf, {}))
        behind = self.clock is not None and self.clock() - at < self.lags(key)
        return before if behind else self._all.get(key)

    def remember(self, key: str) -> None:
        """Keep how a resource is, for readers who will be behind."""
        if self.clock is not None and key in self._all:
            at, _ = self._before.get(key, (-math.inf, {}))
            if self.clock() - at >= self.lags(key):  # else they see what was before the earlier write
                self._before[key] = (self.clock(), _copied(self._all[key]))
            else:
                self._before[key] = (self.clock(), self._before[key][1])

    def listed(self, request: Request, rows: list[Any]) -> Answer:
        """One page of a list."""
        token = request.query.get("$skiptoken")
        if token is None and self.empty_first_page:
            return Answer(200, {"value": [], "nextLink": self._next(request, 0)})
        start = int(token or 0)
        page: dict[str, Any] = {"value": rows[start : start + self.page]}
        if start + self.page < len(rows):
            page["nextLink"] = self._next(request, start + self.page)
        return Answer(200, page)

    def _next(self, request: Request, start: int) -> str:
        version = request.query["api-version"]
        return f"{self.next_host or self.base}{request.path}?api-version={version}&$skiptoken={start}"

    def _put(self, request: Request) -> Answer:
        before = self._all.get(request.path.lower())
        _check_match(request, before)
        self._refuse_second_write(request.path)
        body = request.json
        state = body.get("properties", {}).get("provisioningState")
        if before and state not in (None, before["properties"].get("provisioningState")):
            raise Refused(400, "InvalidRequestContent", "provisioningState cannot be set.")
        check(request.path, body)
        hook = self._hook(request.path)
        if hook:
            hook.check(request.path, body)
        properties = {**body.get("properties", {}), "provisioningState": "Updating"}
        fields = {name: body[name] for name in ("location", "tags", "sku", "kind") if name in body}
        if hook and "/networkinterfaces/" in request.path.lower() and before:
            properties["ipConfigurations"] = before["properties"]["ipConfigurations"]
        self.remember(request.path.lower())
        stored = self._store(request.path, properties, fields)
        if hook:
            hook.begun(request.path, body)
        if self.terse:
            return Answer(202, None, self._begin(request.path, "Location", wrote=body))
        headers = self._begin(request.path, "Azure-AsyncOperation", wrote=body)
        return Answer(200 if before else 201, _copied(stored), headers)

    def _hook(self, path: str) -> Hook | None:
        return next((each for part, each in self.hooks.items() if part in path.lower()), None)

    def _delete(self, request: Request) -> Answer:
        before = self._all.get(request.path.lower())
        if before is None:
            return Answer(204)
        _check_match(request, before)
        self._refuse_second_write(request.path)
        before["properties"]["provisioningState"] = "Deleting"
        return Answer(202, None, self._begin(request.path, "Location", removes=True))

    def _begin(
        self, target: str, header: str, *, removes: bool = False, wrote: dict[str, Any] | None = None
    ) -> dict[str, str]:
        operation = Operation(str(uuid.uuid4()), target.lower(), self.polls, removes, self.fail_next, wrote=wrote)
        self.fail_next = None
        if self.clock:
            operation.ends = self.clock() + self.takes
        self._operations[operation.id] = self._running[operation.id] = operation
        return {header: self._link(operation, header.lower()), "Retry-After": self.retry_after}

    def _link(self, operation: Operation, kind: str) -> str:
        where = "/".join(operation.target.split("/")[:3])
        path = f"{where}/providers/Microsoft.Network/locations/fake/operations/{operation.id}"
        return f"{self.base}{path}?api-version=2025-07-01&kind={kind}"

    def _refuse_second_write(self, path: str) -> None:
        for other in self._running.values():
            if other.status not in FINAL and _network_of(other.target) == _network_of(path):
                link = self._link(other, "azure-asyncoperation")
                text = f"Another operation on this or dependent resource is in progress. To retrieve status: {link}"
                raise Refused(429, "AnotherOperationInProgress", text, {"Retry-After": self.retry_after})

    def _poll(self, number: str, by_location: bool) -> Answer:
        operation = self._operations.get(number)
        if operation is None:
            raise Refused(404, "OperationNotFound", f"Operation {number} is not known.")
        if operation.status not in FINAL and self.clock is None:
            self._step(operation)
        if by_location:
            done = operation.status in FINAL
            again = {"Location": self._link(operation, "location"), "Retry-After": self.retry_after}
            return Answer(200 if done else 202, None, {} if done else again)
        body: dict[str, Any] = {"id": f"operations/{number}", "name": number, "status": operation.status}
        if operation.status == "Failed" and operation.error:
            body["error"] = {"code": operation.error[0], "message": operation.error[1], "details": []}
        return Answer(200, body, {} if operation.status in FINAL else {"Retry-After": self.retry_after})

    def settle(self) -> None:
        """End what by the clock has ended."""
        with self._lock:
            for each in list(self._running.values()) if self.clock else ():
                if each.ends <= self.clock():  # type: ignore[misc]
                    self._end(each)

    def _step(self, operation: Operation) -> None:
        operation.polls -= 1
        if operation.polls <= 0:
            self._end(operation)

    def _end(self, operation: Operation) -> None:
        self._running.pop(operation.id, None)
        operation.status = "Failed" if operation.error else "Succeeded"
        hook = self._hook(operation.target)
        if hook and operation.wrote and operation.target in self._all:
            hook.ended(operation.target, operation.wrote, well=not operation.error)
        if operation.removes and not operation.error:
            self.drop(operation.target)
        elif operation.target in self._all:
            self._all[operation.target]["properties"]["provisioningState"] = operation.status
            self._publish()


def _copied(document: Any) -> Any:
    """What is JSON, anew: by way of its text, which takes a tenth of `copy.deepcopy`'s time."""
    return msgspec.json.decode(msgspec.json.encode(document))


def _check_match(request: Request, before: dict[str, Any] | None) -> None:
    wanted, unwanted = request.headers.get("if-match"), request.headers.get("if-none-match")
    stale = wanted is not None and (before is None or wanted not in ("*", before["etag"]))
    if stale or (unwanted == "*" and before is not None):
        raise Refused(412, "PreconditionFailed", "The condition of the request is not met.")


def _network_of(path: str) -> str:
    """Return what is written to by one at a time: a network, a table; of a scale set each machine for itself."""
    return path.lower() if "/microsoft.compute/" in path.lower() else "/".join(path.lower().split("/")[:9])


def _name_children(resource: dict[str, Any]) -> None:
    """Give parts of a resource the ids that the service gives them."""
    for kind in ("subnets", "virtualNetworkPeerings", "routes"):
        for child in resource["properties"].get(kind) or []:
            child.setdefault("id", f"{resource['id']}/{kind}/{child.get('name')}")
