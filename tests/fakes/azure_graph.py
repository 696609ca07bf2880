"""The fake's Resource Graph: rows of what the Resource Manager has, as its own query language asks for them (`kql`).

Manners are those of the ARM fixtures' README, "Resource Graph": pages with `$skipToken` (only where `id` is projected),
`resultTruncated` as text, quotas for each caller with headers on every answer, 429 with code RateLimiting.
"""

from __future__ import annotations

import threading
import time
import uuid
from collections.abc import Callable, Iterable
from typing import Any

from tests.fakes import kql
from tests.fakes.azure_http import Answer, Refused, Request

PATH = "/providers/microsoft.resourcegraph/resources"
_CONTAINERS = "resourcecontainers"
_INSTANCES = "microsoft.compute/virtualmachinescalesets/virtualmachines/networkinterfaces"


class Graph:
    """`page` is the most rows in an answer, `quota` the most queries of one caller in a `window` of seconds."""

    def __init__(self, resources: Callable[[], list[dict[str, Any]]], subscriptions: list[dict[str, Any]]) -> None:
        self.page = 1000
        self.quota = 100_000
        self.window = 5.0
        self.as_table = False
        self.tells_when = True
        """Whether a refusal has a Retry-After besides the quota's own header."""
        self.clock: Callable[[], float] = time.monotonic
        self._resources = resources
        self._subscriptions = subscriptions
        self._spent: dict[str, list[float]] = {}
        self._results: dict[str, list[dict[str, Any]]] = {}
        self._lock = threading.Lock()

    def serve(self, request: Request, caller: str, rights: set[str]) -> Answer:
        """Answer a query. Raises Refused."""
        headers = self._spend(caller)
        body = request.json
        wanted = {each.lower() for each in body.get("subscriptions") or rights}
        if len(wanted) > 300:
            raise Refused(400, "BadRequest", "Too many subscriptions in one query.")
        if not wanted & rights:
            raise Refused(403, "AccessDenied", "None of the subscriptions can be read by the caller.")
        options = body.get("options") or {}
        rows, start = self._rows(body["query"], wanted & rights, options.get("$skipToken"))
        return Answer(200, self._page(rows, start, options), headers)

    def _spend(self, caller: str) -> dict[str, str]:
        with self._lock:
            now = self.clock()
            spent = self._spent[caller] = [at for at in self._spent.get(caller, []) if at > now - self.window]
            left = self.quota - len(spent)
            wait = int(-(-(spent[0] + self.window - now) // 1)) if spent else int(self.window)
            headers = {
                "x-ms-user-quota-remaining": str(max(left - 1, 0)),
                "x-ms-user-quota-resets-after": time.strftime("%H:%M:%S", time.gmtime(wait)),
            }
            if left < 1:
                told = {"Retry-After": str(wait)} if self.tells_when else {}
                raise Refused(429, "RateLimiting", "Please provide below info when asking for support.", headers | told)
            spent.append(now)
            return headers

    def _rows(self, query: str, subscriptions: set[str], token: str | None) -> tuple[list[dict[str, Any]], int]:
        if token is None:
            return self._run(query, subscriptions), 0
        number, _, start = token.partition("/")
        if number not in self._results:
            raise Refused(400, "BadRequest", "The skip token is not valid.")
        return self._results[number], int(start)

    def _run(self, query: str, subscriptions: set[str]) -> list[dict[str, Any]]:
        rows = list(self._table(subscriptions))
        tables = {
            "resources": [row for row in rows if row["type"] != _INSTANCES],
            "computeresources": [row for row in rows if row["type"] == _INSTANCES],
            _CONTAINERS: [_container(each) for each in self._subscriptions if each["subscriptionId"] in subscriptions],
        }
        try:
            return kql.run(query, tables)
        except kql.BadQuery as error:
            raise Refused(400, "BadRequest", f"InvalidQuery: {error}") from None

    def _table(self, subscriptions: set[str]) -> Iterable[dict[str, Any]]:
        tenants = {each["subscriptionId"].lower(): each.get("tenantId", "") for each in self._subscriptions}
        for resource in self._resources():
            parts = resource["id"].split("/")
            top_level = len(parts) == 9 or "/virtualMachineScaleSets/" in resource["id"]
            if top_level and parts[2].lower() in subscriptions:
                yield _row(resource, tenants.get(parts[2].lower(), ""))

    def _page(self, rows: list[dict[str, Any]], start: int, options: dict[str, Any]) -> dict[str, Any]:
        size = min(int(options.get("$top", 100)), self.page)
        page = rows[start : start + size]
        more = start + size < len(rows)
        can_go_on = more and "id" in rows[0]
        body: dict[str, Any] = {
            "totalRecords": len(rows),
            "count": len(page),
            "data": self._table_form(page) if self.as_table else page,
            "facets": [],
            "resultTruncated": "true" if more and not can_go_on else "false",
        }
        if can_go_on:
            number = str(uuid.uuid4())
            self._results[number] = rows
            body["$skipToken"] = f"{number}/{start + size}"
        return body

    def _table_form(self, rows: list[dict[str, Any]]) -> dict[str, Any]:
        names = list(rows[0]) if rows else []
        columns = [{"name": name, "type": "object"} for name in names]
        return {"columns": columns, "rows": [[row[name] for name in names] for row in rows]}


def _row(resource: dict[str, Any], tenant: str) -> dict[str, Any]:
    """A resource as Resource Graph shows it: the type in lower case, ids as they come."""
    parts = resource["id"].split("/")
    instance = "/virtualMachineScaleSets/" in resource["id"] and "/networkInterfaces/" in resource["id"]
    properties = dict(resource.get("properties", {}))
    if resource.get("type", "").lower() == "microsoft.datafactory/factories":
        properties.pop("privateEndpointConnections", None)
    return {
        "id": resource["id"],
        "name": resource["name"],
        "type": _INSTANCES if instance else resource["type"].lower(),
        "kind": resource.get("kind", ""),
        "location": resource.get("location", ""),
        "tenantId": tenant,
        "resourceGroup": parts[4],
        "subscriptionId": parts[2],
        "tags": resource.get("tags"),
        "sku": resource.get("sku"),
        "properties": properties,
    }


def _container(subscription: dict[str, Any]) -> dict[str, Any]:
    group = subscription.get("managementGroup", {"name": "root", "displayName": "Tenant Root Group"})
    return {
        "id": subscription["id"],
        "name": subscription["displayName"],
        "type": "microsoft.resources/subscriptions",
        "subscriptionId": subscription["subscriptionId"],
        "tenantId": subscription.get("tenantId", ""),
        "properties": {"managementGroupAncestorsChain": [group]},
    }
