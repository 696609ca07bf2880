"""The schema of every JSON document that commands print: its name, which commands print it, and what is in it.

The types are those that the documents are made from, where there are any. A version rises when a field goes or changes
its meaning; a new field does not raise it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from unipam.cli.output import VERSION

Schema = dict[str, Any]

_COUNTS = frozenset({"size", "used", "free", "reserved", "cooling", "size_ipv6", "units", "capacity", "addresses",
                     "taken", "claimed", "freed", "past"})  # fmt: skip
"""Fields that count addresses, of which IPv6 has more than a number in JSON may safely be."""


class Document(NamedTuple):
    """A kind of document: the commands that print it, the type of its rows (or of all of it), and its version."""

    commands: str
    make: Callable[[], Schema]
    rows: bool = True
    version: int = VERSION


def _api(module: str, name: str) -> Callable[[], Schema]:
    """Return the schema of a type of the register's API."""

    def make() -> Schema:
        import importlib

        from pydantic import TypeAdapter

        found = getattr(importlib.import_module(f"unipam.server.native.{module}"), name)
        return TypeAdapter(found).json_schema()

    return make


def _record(module: str, name: str, **other: Schema) -> Callable[[], Schema]:
    """Return the schema of a record, some of whose fields are printed in another way."""

    def make() -> Schema:
        import importlib

        import msgspec

        schema, parts = msgspec.json.schema_components([getattr(importlib.import_module(module), name)],
                                                       ref_template="#/$defs/{name}")  # fmt: skip
        own = parts.pop(name) if schema[0].get("$ref") else schema[0]
        return {**_named(own, name, module), "$defs": parts} | {
            "properties": {**_properties(own, module, name), **other}
        }

    return make


def _named(own: Schema, name: str, module: str) -> Schema:
    """Return a schema as an object: a named tuple is a list to msgspec, and is printed by its names."""
    title = {"title": name, "type": "object"}
    if "prefixItems" not in own:
        return {**own, **title}
    required = list(_fields(module, name))
    return {**{k: v for k, v in own.items() if k not in ("type", "prefixItems", "items", "minItems", "maxItems")},
            **title, "required": required}  # fmt: skip


def _properties(own: Schema, module: str, name: str) -> Schema:
    if "prefixItems" in own:
        return dict(zip(_fields(module, name), own["prefixItems"], strict=True))
    return dict(own["properties"])


def _fields(module: str, name: str) -> tuple[str, ...]:
    import importlib

    return tuple(getattr(importlib.import_module(module), name)._fields)


def _of(**fields: Any) -> Callable[[], Schema]:
    """Return the schema of an object with these fields: of a type each, or as a schema."""

    def make() -> Schema:
        import msgspec

        parts = {k: v if isinstance(v, dict) else msgspec.json.schema(v) for k, v in fields.items()}
        return {"type": "object", "properties": parts, "required": list(parts)}

    return make


_WHEN: Schema = {"type": "string", "description": "RFC 3339 in UTC; empty: never"}
_ROWS: Schema = {"type": "array", "items": {"type": "object"}}
_LEASE = _record("unipam.ledger.reads", "Lease", since=_WHEN, until=_WHEN)
_PAST = _record("unipam.ledger.reads", "Past", at=_WHEN)


def _explanation() -> Schema:
    return _of(subject=str, kind=str, sentences=list[str], leases=_listed(_LEASE), history=_listed(_PAST), plan=_ROWS)()


def _listed(make: Callable[[], Schema]) -> Schema:
    return {"type": "array", "items": make()}


def _plan() -> Schema:
    use = _of(size=int, used=int, reserved=int, free=int)()
    item = _of(kind=str, name=str, cidr=str | None, since=float, desc=str, status=str,
               items={"type": "array", "items": {"$ref": "#/$defs/Item"}})()  # fmt: skip
    item["properties"]["use"] = use
    item["required"] = ["kind", "name", "cidr", "items"]
    return {"$ref": "#/$defs/Item", "$defs": {"Item": item}}


def _pool() -> Schema:
    made = _record("unipam.ledger.reads", "PoolUse")()
    properties = {{"number": "pool"}.get(k, k): v for k, v in made["properties"].items()}
    return {**made, "properties": properties, "required": list(properties)}


def _branch() -> Schema:
    import msgspec

    from unipam.plan.branches import Branch

    (schema,), parts = msgspec.json.schema_components([Branch], ref_template="#/$defs/{name}")
    return {**schema, "$defs": parts}


def _calico_address() -> Schema:
    made = _of(ip=str, assigned=bool, handle=str | None, sequence=_SEQUENCE, block=str, affinity=str | None,
               cooling=bool, attributes=dict[str, str], alternate_attributes=dict[str, str])()  # fmt: skip
    return {**made, "required": ["ip", "assigned"]}


def _calico_explanation() -> Schema:
    return _of(subject=str, kind=str, sentences=list[str], leases=_listed(_CALICO_LEASE))()


def _calico_report() -> Schema:
    made = _of(clusterGUID=str, datastoreLocked=bool, clusterInformationRevision=str, clusterType=str,
               allocations=dict[str, Any], leakedHandles=_ROWS, problems=int, made_by=str)()  # fmt: skip
    return {**made, "required": [name for name in made["required"] if name != "leakedHandles"]}


_SEQUENCE: Schema = {"type": ["integer", "string"], "pattern": "^[0-9]+$", "description": "that of the write"}
_CALICO_LEASE = _record(
    "unipam.dialects.calico.calicoctl.explaining", "Lease", since=_WHEN, until=_WHEN, sequence=_SEQUENCE
)

_ENDPOINT: dict[str, Any] = {
    **dict.fromkeys(("source", "id", "name", "resource_group", "subscription", "tenant"), str),
    **dict.fromkeys(("private_ip", "vnet_name", "vnet_id", "subnet_name", "subnet_id"), str | None),
    "metadata": dict[str, Any],
}
_SUBNET: dict[str, Any] = {
    **dict.fromkeys(("id", "name", "network", "network_name", "kind"), str),
    **dict.fromkeys(("used", "size", "size_ipv6"), int),
    "prefixes": list[str],
    "seen_on": float,
}

SCHEMAS: Mapping[str, Document] = {
    "adopted-network": Document(
        "adopt host-local", _of(network=str, action=str, leases=int, cursors=int, empty=int, odd=int)
    ),
    "adopted-pool": Document(
        "adopt azure-vnet-ipam",
        _of(pool=str, interface=str, action=str, addresses=int, leases=int),
    ),
    "available": Document("block free, external free", _api("models", "Available"), rows=False),
    "available-address": Document("external subnet free", _api("external_models", "FreeAddresses"), rows=False),
    "block": Document("block list, block show, block add, block change", _api("models", "Block")),
    "branch": Document("plan branches", _branch),
    "calico-address": Document("calico ipam show --ip", _calico_address, rows=False),
    "calico-borrowed": Document(
        "calico ipam show --show-borrowed", _of(ip=str, node=str, block=str, owner=str, type=str, holder=str)
    ),
    "calico-configuration": Document(
        "calico ipam show --show-configuration, calico ipam configure", _of(property=str, value=bool | int | str)
    ),
    "calico-deleted-pool": Document("calico pool delete", _of(pool=str, dry_run=bool, held=_ROWS), rows=False),
    "calico-examination": Document("calico doctor", _of(about=str, verdict=str, what=str)),
    "calico-explanation": Document("explain --calico", _calico_explanation, rows=False),
    "calico-lease": Document("lease list --calico", _CALICO_LEASE),
    "calico-move": Document("calico migrate", _of(address=str, action=str, handle=str, why=str)),
    "calico-moved-back": Document(
        "calico migrate --rollback",
        _of(dry_run=bool, released=list[str], gone=list[str], strangers=list[str]),
        rows=False,
    ),
    "calico-pool": Document("calico pool apply, calico ipam split", _of(name=str, cidr=str, action=str)),
    "calico-released": Document(
        "calico ipam release",
        _of(wanted=int, gone=int, error=str, handles=int, deleted=int, skipped=int, failed=list[str]),
        rows=False,
    ),
    "calico-report": Document("calico ipam check", _calico_report, rows=False),
    "calico-use": Document(
        "calico ipam show",
        _of(grouping=str, pool=str | None, cidr=str, size=int, used=int, reserved=int, free=int),
    ),
    "cloud-endpoint": Document("network cloud", _of(**_ENDPOINT)),
    "cloud-network": Document("network seen", _record("unipam.plan.cloud.standing", "Standing")),
    "cloud-subnet": Document("network cloud", _of(**_SUBNET)),
    "cloud-subscription": Document("network cloud", _record("unipam.model.cloud", "Subscription")),
    "cluster-fact": Document("cluster explain", _of(node=str, fact=str, value=str)),
    "cilium-difference": Document(
        "controller --cilium --dry-run", _record("unipam.dialects.cilium.preview", "Difference")
    ),
    "kubenet-difference": Document(
        "controller --kubenet --dry-run", _record("unipam.dialects.kubenet.preview", "Difference")
    ),
    "cluster-finding": Document("cluster check", _record("unipam.model.finding", "Finding")),
    "cluster-node": Document(
        "cluster show",
        _of(
            node=str,
            system=str,
            has=int,
            ranges=str,
            route=str,
            uses=int | None,
            needs=int,
            state=str,
            machine=str,
            waits=str,
        ),
    ),
    "conflict": Document("register import", _of(kind=str, place=str, name=str, problem=str)),
    "context": Document("context list", _of(current=str, name=str, register=str, tokens=str, tenant=str)),
    "diagnosis": Document("diagnose", _record("unipam.diagnose.report", "Report"), rows=False, version=2),
    "explanation": Document("explain", _explanation, rows=False),
    "external": Document(
        "external list, external show, external add, external change", _api("external_models", "External")
    ),
    "external-endpoint": Document(
        "external endpoint list, external endpoint show, external endpoint add, external endpoint change",
        _api("external_models", "ExternalEndpoint"),
    ),
    "external-subnet": Document(
        "external subnet list, external subnet show, external subnet add, external subnet change",
        _api("external_models", "ExternalSubnet"),
    ),
    "finding": Document("plan findings", _api("models", "Finding")),
    "forecast": Document("plan forecast, block forecast, space forecast", _api("forecasts", "Forecast")),
    "fresh-token": Document("register token add", _api("models", "FreshToken")),
    "found": Document("plan search", _record("unipam.plan.listing", "Row")),
    "grant": Document("register grant list, register grant add", _api("models", "Grant")),
    "journal-entry": Document("lease history", _PAST),
    "journal-line": Document("plan journal", _api("models", "JournalLine")),
    "lease": Document("lease list, lease show, lease release", _LEASE),
    "network": Document("network list, network add", _api("models", "Network")),
    "network-subnet": Document("network subnets", _api("cloud_subnets", "NetworkSubnet")),
    "node-status": Document("status", _of(socket=str, agent=dict[str, str | float], ledgers=_ROWS), rows=False),
    "object": Document("plan objects", _record("unipam.plan.listing", "Row")),
    "peered-network": Document(
        "network peerings",
        _of(
            id=str,
            name=str,
            kind=str,
            prefixes=list[str],
            resource_group=str,
            subscription=str,
            tags=dict[str, str],
            peerings=_ROWS,
        ),
    ),
    "plan": Document("plan tree", _plan),
    "plan-entry": Document("plan history", _api("models", "Entry")),
    "plugin": Document("cni install, cni uninstall, cni renew", _of(plugin=str, action=str, path=str, kept=str | None)),
    "pool": Document("pool list, pool show", _pool),
    "related": Document("plan explain", _api("models", "Held")),
    "reservation": Document("reservation list, reservation show, reservation add", _api("models", "Reservation")),
    "sizing": Document(
        "sizing",
        _of(
            name=str,
            variant=str,
            pod_addresses=str,
            works=bool,
            nodes=int,
            peak_nodes=int,
            pods=int,
            network_prefix=int | None,
            needs=_ROWS,
            moments=_ROWS,
            placements=_ROWS,
            first_limit=dict[str, Any] | None,
            limits=_ROWS,
            limits_by_pool=dict[str, Any],
            what_if=_ROWS,
            may_not_overlap=_ROWS,
            findings=_ROWS,
        ),
        rows=False,
    ),
    "sizing-limit": Document(
        "sizing --limits",
        _of(rule=str, section=str, source=str, evidence=str, verify=bool, value=int, unit=str, meaning=str),
    ),
    "space": Document("space list, space show, space add, space change", _api("models", "Space")),
    "space-utilisation": Document("space use", _api("models", "SpaceUtilisation"), rows=False),
    "token": Document("register token list", _api("models", "Token")),
}
"""Every document, by the name of its schema."""


def schema_of(name: str) -> Schema:
    """Return the JSON Schema of a document. Raises KeyError for a name that is none."""
    document = SCHEMAS[name]
    made = _widened(document.make())
    parts = made.pop("$defs", {})
    head = {"schema": {"const": name}, "version": {"const": document.version}}
    if document.rows:
        made.get("properties", {}).update({"action": {"type": "string"}, "event": {"type": "string"}})
        body = {"type": "object", "properties": {**head, "items": {"type": "array", "items": made}}}
        body["required"] = ["schema", "version", "items"]
    else:
        body = {**made, "properties": {**made["properties"], **head}}
        body["required"] = ["schema", "version", *made.get("required", ())]
    draft = {"$schema": "https://json-schema.org/draft/2020-12/schema"}
    return {**draft, **body, "title": name, **({"$defs": parts} if parts else {})}


def _widened(value: Any, field: str = "") -> Any:
    """Return a schema in which counts of addresses may be texts."""
    if isinstance(value, list):
        return [_widened(each, field) for each in value]
    if not isinstance(value, dict):
        return value
    if field in _COUNTS and value.get("type") == "integer":
        return {**value, "type": ["integer", "string"], "pattern": "^[0-9]+$"}
    return {k: _widened(v, k if k not in ("anyOf", "items") else field) for k, v in value.items()}
