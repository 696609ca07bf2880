"""A real Azure to talk to, on loopback: Entra ID, the Resource Manager and Resource Graph behind one TLS port.

It is made for the real SDKs: tokens are signed and checked, certificates come from an authority of its own, and its
payloads and manners are those of the ARM fixtures. What it is not: Resource Graph understands only as much of the query
language as `kql` says; no rights below a subscription; nothing checks that what is written makes sense.
Tests change it with their own hands (`arm`, `graph`, `entra`, `grant`), say beforehand how a request is to be answered
(`say`, `throttle`), and read afterwards what was asked (`calls`).
"""

from __future__ import annotations

import threading
import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.fakes.azure_arm import Resources
from tests.fakes.azure_entra import Entra
from tests.fakes.azure_graph import PATH as GRAPH
from tests.fakes.azure_graph import Graph
from tests.fakes.azure_http import Answer, LoopbackServer, Refused, Request
from tests.fakes.certificates import Authority


@dataclass
class Said:
    """An answer that waits for the next requests with `part` in their path or body."""

    part: str
    answer: Answer
    times: int


class FakeAzure:
    """Everything at `base`; the machine's identity at `machine`, without TLS as the real one."""

    def __init__(self, directory: Path) -> None:
        authority = Authority(directory)
        self.ca = str(authority.ca)
        self.entra = Entra()
        self.arm = Resources()
        self.subscriptions: list[dict[str, Any]] = []
        self.graph = Graph(self.arm.shown, self.subscriptions)
        self.calls: list[Request] = []
        self.answered: list[tuple[Request, int]] = []
        """What was asked, in the order of the answers, with their status."""
        self._rights: dict[str, set[str]] = {}
        self._said: list[Said] = []
        self._lock = threading.Lock()
        self._server = LoopbackServer(self._serve, authority.context())
        self._machine = LoopbackServer(self.entra.machine_token)
        self.base = self.entra.base = self.arm.base = f"https://127.0.0.1:{self._server.port}"
        self.machine = f"http://127.0.0.1:{self._machine.port}"

    def close(self) -> None:
        """Stop serving."""
        self._server.close()
        self._machine.close()

    def subscribe(
        self, name: str = "", *, quota: str = "EnterpriseAgreement_2014-09-01", state: str = "Enabled"
    ) -> str:
        """A new subscription, which the application may read; its id."""
        number = str(uuid.uuid5(uuid.NAMESPACE_URL, f"{len(self.subscriptions)} {name}"))
        self.subscriptions.append(
            {
                "id": f"/subscriptions/{number}",
                "subscriptionId": number,
                "tenantId": self.entra.tenant,
                "displayName": name or f"subscription {len(self.subscriptions)}",
                "state": state,
                "subscriptionPolicies": {"quotaId": quota, "spendingLimit": "Off"},
            }
        )
        self.grant(self.entra.principal, number)
        return number

    def grant(self, oid: str, *subscriptions: str) -> None:
        """Somebody may read these subscriptions."""
        self._rights.setdefault(oid, set()).update(each.lower() for each in subscriptions)

    def revoke(self, oid: str, *subscriptions: str) -> None:
        """Somebody may not read these subscriptions any more."""
        self._rights[oid] -= {each.lower() for each in subscriptions}

    def say(self, part: str, status: int, body: Any = None, *, times: int = 1, headers: Mapping[str, str] = {}) -> None:
        """Answer the next requests that have `part` in their path or body like this."""
        with self._lock:
            self._said.append(Said(part.lower(), Answer(status, body, dict(headers)), times))

    def throttle(self, part: str, seconds: str | None, *, times: int = 1) -> None:
        """Refuse the next requests as too many."""
        body = {"error": {"code": "TooManyRequests", "message": "The request was throttled."}}
        self.say(part, 429, body, times=times, headers={} if seconds is None else {"Retry-After": seconds})

    def relent(self) -> None:
        """Nothing is said or throttled any more."""
        with self._lock:
            self._said.clear()

    def asked(self, part: str) -> list[Request]:
        """The requests so far with `part` in their path or body."""
        return [call for call in self.calls if part.lower() in f"{call.path} {call.body.decode()}".lower()]

    def _serve(self, request: Request) -> Answer:
        answer = self._answer(request)
        with self._lock:
            self.answered.append((request, answer.status))
        return answer

    def _answer(self, request: Request) -> Answer:
        with self._lock:
            self.calls.append(request)
            said = self._take_said(request)
        if said is not None:
            return said
        try:
            return self.entra.serve(request) or self._managed(request)
        except Refused as refused:
            return refused.answer

    def _take_said(self, request: Request) -> Answer | None:
        text = f"{request.path} {request.body.decode()}".lower()
        for said in self._said:
            if said.times > 0 and said.part in text:
                said.times -= 1
                return said.answer
        return None

    def _managed(self, request: Request) -> Answer:
        caller = self.entra.caller(request, self.base)
        rights = self._rights.get(caller, set())
        if not request.query.get("api-version"):
            raise Refused(400, "MissingApiVersionParameter", "The api-version query parameter is required.")
        if request.path.lower() == GRAPH and request.method == "POST":
            return self.graph.serve(request, caller, rights)
        if request.path.lower().rstrip("/") == "/subscriptions":
            rows = [each for each in self.subscriptions if each["subscriptionId"].lower() in rights]
            return self.arm.listed(request, rows)
        parts = request.path.split("/")
        if len(parts) < 3 or parts[1].lower() != "subscriptions":
            raise Refused(404, "ResourceNotFound", f"There is nothing at {request.path}.")
        if parts[2].lower() not in rights:
            text = f"The client '{caller}' does not have authorization to perform this action over '{request.path}'."
            raise Refused(403, "AuthorizationFailed", text)
        return self.arm.serve(request)

    # Names for what tests make often

    def vnet_id(self, subscription: str, name: str, group: str = "rg1") -> str:
        """The id of a virtual network."""
        return resource_id(subscription, f"Microsoft.Network/virtualNetworks/{name}", group)

    def vnet(
        self,
        subscription: str,
        name: str,
        *prefixes: str,
        subnets: Mapping[str, str] = {},
        peers: Mapping[str, tuple[str, str]] = {},
        tags: Mapping[str, str] = {},
        group: str = "rg1",
    ) -> str:
        """A virtual network; `subnets` by name, `peers` as remote id and its prefix by name."""
        properties = {
            "addressSpace": {"addressPrefixes": list(prefixes)},
            "subnets": [{"name": n, "properties": {"addressPrefix": p}} for n, p in subnets.items()],
            "virtualNetworkPeerings": [_peering(n, *remote) for n, remote in peers.items()],
        }
        return self.arm.put(self.vnet_id(subscription, name, group), properties, tags=dict(tags), location="westeurope")


def resource_id(subscription: str, what: str, group: str = "rg1") -> str:
    """The id of a resource; `what` is its provider, type and name."""
    return f"/subscriptions/{subscription}/resourceGroups/{group}/providers/{what}"


def _peering(name: str, remote: str, prefix: str) -> dict[str, Any]:
    space = {"addressPrefixes": [prefix]}
    properties = {
        "remoteVirtualNetwork": {"id": remote},
        "remoteAddressSpace": space,
        "remoteVirtualNetworkAddressSpace": space,
        "peeringState": "Connected",
        "peeringSyncLevel": "FullyInSync",
        "provisioningState": "Succeeded",
    }
    return {"name": name, "properties": properties}


@contextmanager
def azure(directory: Path) -> Iterator[FakeAzure]:
    """A fake Azure while it is needed."""
    fake = FakeAzure(directory)
    try:
        yield fake
    finally:
        fake.close()
