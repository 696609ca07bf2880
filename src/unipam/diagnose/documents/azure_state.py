"""azure-vnet-ipam.json, azure-vnet.json, CNS's endpoints, the wireserver's answer (spec azure-vnet-ipam §2, §4.8)."""

from __future__ import annotations

import base64
import re
from collections import Counter
from typing import Any

import msgspec

from unipam.addr.prefix import parse_address, parse_prefix, truncate
from unipam.diagnose import variants
from unipam.diagnose.case import Case, evidence
from unipam.diagnose.documents.tree import Document, Obj
from unipam.diagnose.live_pods import Pod
from unipam.diagnose.report import Evidence, Holder, Pool


class _Record(msgspec.Struct, frozen=True):
    address: str
    owner: str
    in_use: bool
    where: Evidence


def read_logged(case: Case, file: str, number: int, line: bytes, raw: bytes) -> None:
    """Read the state object that a JSON log line carries ("Restored state", key `am`)."""
    try:
        state = msgspec.json.decode(raw)
    except msgspec.DecodeError:
        return
    where = evidence(file, number, line)
    for pool_id, pool in _logged_pools(state):
        addresses = pool.get("Addresses")
        records = [
            _Record(str(address), str(record.get("ID") or ""), bool(record.get("InUse")), where)
            for address, record in (addresses.items() if isinstance(addresses, dict) else ())
            if isinstance(record, dict)
        ]
        _judge_pool(case, pool_id, records, where, whole=True)


def _logged_pools(state: Any) -> list[tuple[str, dict[str, Any]]]:
    spaces = state.get("AddressSpaces") if isinstance(state, dict) else None
    found = []
    for space in spaces.values() if isinstance(spaces, dict) else ():
        pools = space.get("Pools") if isinstance(space, dict) else None
        found += [(str(name), pool) for name, pool in (pools or {}).items() if isinstance(pool, dict)]
    return found


def read(case: Case, document: Document) -> bool:
    """Record what a tree shows of azure-vnet's own files. Returns whether it was one."""
    found = False
    told: set[int] = set()
    for _, obj in document.objects():
        if "Addresses" in obj and isinstance(obj["Addresses"], Obj):
            _pool(case, document, obj)
            found = True
        elif _is_record_map(obj) and not found:
            _loose_records(case, document, obj)
            found = True
        if "Networks" in obj and isinstance(obj["Networks"], Obj):
            told |= _networks(case, document, obj)
            found = True
        if isinstance(obj.get("ipv4"), Obj) and obj["ipv4"].items_of("ipAddress"):
            _metadata_interface(case, document, obj)
            found = True
        if "IfnameToIPMap" in obj:
            _cns_endpoint(case, document, obj)
            found = True
        if {"ContainerID", "PODName"} <= obj.keys() and id(obj) not in told:
            _endpoint(case, document, obj)
            found = True
    _versions(case, document, found)
    return found


def _versions(case: Case, document: Document, found: bool) -> None:
    for _, obj in document.objects():
        if found and "Version" in obj and "TimeStamp" in obj:
            case.fact(
                "state-version",
                f"State written by {obj.text('Version')} at {obj.text('TimeStamp')}.",
                document.where(obj.line_of("Version")),
            )


def _is_record_map(obj: Obj) -> bool:
    return any(isinstance(record, Obj) and {"Addr", "InUse"} <= record.keys() for record in obj.values())


def _records(document: Document, addresses: Obj) -> list[_Record]:
    return [
        _Record(
            record.text("Addr") or name,
            record.text("ID"),
            record.get("InUse") is True,
            document.where(addresses.line_of(name)),
        )
        for name, record in addresses.items()
        if isinstance(record, Obj)
    ]


def _pool(case: Case, document: Document, pool: Obj) -> None:
    records = _records(document, pool.obj("Addresses"))
    name = pool.text("Id") or _subnet_of(pool) or "azure-vnet-ipam"
    where = document.where(pool.line_of("Addresses"))
    _judge_pool(case, name, records, where, whole=not (document.elided or document.fragment or document.faults))
    _check_subnet(case, name, pool, records, where)


def _loose_records(case: Case, document: Document, addresses: Obj) -> None:
    _judge_pool(case, "azure-vnet-ipam", _records(document, addresses), document.where(addresses.line), whole=False)


def _subnet_of(pool: Obj) -> str:
    subnet = pool.obj("Subnet")
    length = _mask_length(subnet.text("Mask"))
    return f"{subnet.text('IP')}/{length}" if subnet.text("IP") and length is not None else ""


def _mask_length(text: str) -> int | None:
    try:
        return int.from_bytes(base64.b64decode(text, validate=True), "big").bit_count() if text else None
    except ValueError:
        return None


def _judge_pool(case: Case, name: str, records: list[_Record], where: Evidence, *, whole: bool) -> None:
    """Record what a pool's records show. `whole` tells that none is left out, so that counts mean something."""
    in_use = [record for record in records if record.in_use]
    for record in in_use if not whole or len(records) <= 8 else ():
        case.fact(
            "address-in-use",
            f"{record.address} is in use by container {record.owner or '(no owner recorded)'}.",
            record.where,
        )
    tagged = [record for record in records if record.owner and not record.in_use]
    variants.seen(case, "azure-cni", where)
    pool = case.pool(name, "azure-vnet-ipam")
    pool.evidence = [*pool.evidence, where][-3:]
    for record in in_use:
        case.hold(pool, Holder(record.address, record.owner, where=record.where))
    if whole:
        pool.capacity, pool.in_use = len(records), len(in_use)
        case.fact("pool-use", f"Pool {name}: {len(in_use)} of {len(records)} addresses in use.", where)
        _judge_counts(case, name, records, in_use, where)
    unowned = [record for record in in_use if not record.owner]
    if unowned:
        case.signal(
            "unowned", name, unowned[0].where, values={"unowned": len(unowned)}, addresses=[r.address for r in unowned]
        )
    if tagged:
        case.signal(
            "tagged-free", name, tagged[0].where, values={"tagged": len(tagged)}, addresses=[r.address for r in tagged]
        )
    _several(case, in_use)


def _judge_counts(case: Case, name: str, records: list[_Record], in_use: list[_Record], where: Evidence) -> None:
    if not records:
        case.fact("pool-use", f"Pool {name} has no address records.", where)
    elif len(in_use) == len(records):
        case.signal("pool-full", name, where, values={"in_use": len(in_use), "capacity": len(records)})


def _several(case: Case, in_use: list[_Record]) -> None:
    owners = Counter(record.owner for record in in_use if record.owner)
    for owner, count in owners.items():
        if count > 1:
            mine = [record for record in in_use if record.owner == owner]
            case.signal(
                "several-addresses",
                owner,
                mine[0].where,
                values={"addresses_count": count},
                containers=[owner],
                addresses=[record.address for record in mine],
            )


def _check_subnet(case: Case, name: str, pool: Obj, records: list[_Record], where: Evidence) -> None:
    by_mask = _subnet_of(pool)
    try:
        network = parse_prefix(by_mask or name)
        outside = [each.address for each in records if truncate(parse_address(each.address), network.length) != network]
    except ValueError:
        return
    if "/" in name and by_mask and by_mask != name:
        case.signal("pool-mismatch", name, where, values={"reason": f"its Subnet says {by_mask}"})
    elif outside:
        case.signal(
            "pool-mismatch",
            name,
            where,
            values={"reason": f"{len(outside)} address(es) outside {network}"},
            addresses=outside,
        )


def _networks(case: Case, document: Document, interface: Obj) -> set[int]:
    told: set[int] = set()
    for name, network in interface.obj("Networks").items():
        if not isinstance(network, Obj):
            continue
        subnets = [_subnet_of(_prefix(subnet)) for subnet in network.items_of("Subnets") if isinstance(subnet, Obj)]
        where = document.where(network.line)
        mode = network.text("Mode")
        gateways = [subnet.text("Gateway") for subnet in network.items_of("Subnets") if isinstance(subnet, Obj)]
        case.fact(
            "network",
            f"Network {name}: mode {mode}, pod subnet {', '.join(subnets) or 'unknown'}, gateway "
            f"{', '.join(gateways) or 'unknown'}.",
            where,
        )
        _overlay(case, interface, subnets, gateways, where)
        endpoints = network.get("Endpoints")
        if isinstance(endpoints, Obj):
            _endpoints(case, document, endpoints)
            told |= {id(endpoint) for endpoint in endpoints.values()}
    return told


def _prefix(subnet: Obj) -> Obj:
    wrapped = Obj(subnet.line)
    wrapped["Subnet"] = subnet.get("Prefix")
    return wrapped


def _overlay(case: Case, interface: Obj, subnets: list[str], gateways: list[str], where: Evidence) -> None:
    nic = [str(subnet) for subnet in interface.items_of("Subnets")]
    apart = bool(nic and subnets and set(nic).isdisjoint(subnets))
    if "169.254.1.1" not in gateways:
        if not apart:  # pods share the NIC's subnet, as with azure-vnet-ipam; the file does not name the IPAM
            variants.seen(case, "azure-cni", where, certain=False)
        return
    variants.seen(case, "azure-cni-overlay", where)
    case.fact(
        "overlay-node",
        "Overlay node: its pods' addresses come from Azure CNS; there is no azure-vnet-ipam.json here.",
        where,
    )
    if apart:
        case.signal("overlay-subnets", subnets[0], where, values={"nic": ", ".join(nic)})


def _endpoints(case: Case, document: Document, endpoints: Obj) -> None:
    shown = [(name, endpoint) for name, endpoint in endpoints.items() if isinstance(endpoint, Obj)]
    if not shown and document.elided:
        case.signal("elided-endpoints", document.origin or document.file, document.where(endpoints.line))
    for _, endpoint in shown:
        _endpoint(case, document, endpoint)


def _endpoint(case: Case, document: Document, endpoint: Obj) -> None:
    pod = f"{endpoint.text('PODNameSpace')}/{endpoint.text('PODName')}" if endpoint.text("PODName") else ""
    addresses = [ip.text("IP") for ip in endpoint.items_of("IPAddresses") if isinstance(ip, Obj)]
    where = document.where(endpoint.line)
    _live(case, endpoint.text("ContainerID"), pod, addresses, where, f"Endpoint {endpoint.text('Id')}".strip())


def _metadata_interface(case: Case, document: Document, interface: Obj) -> None:
    """Read an interface as the instance metadata service lists it: its first address is the host's own."""
    addresses = [
        part.text("privateIpAddress") for part in interface["ipv4"].items_of("ipAddress") if isinstance(part, Obj)
    ]
    subnets = [
        f"{part.text('address')}/{part.text('prefix')}"
        for part in interface["ipv4"].items_of("subnet")
        if isinstance(part, Obj)
    ]
    case.fact(
        "instance-metadata",
        f"Instance metadata: NIC {interface.text('macAddress')} has {len(addresses)} addresses in "
        f"{', '.join(subnets) or 'an unnamed subnet'}: "
        f"{addresses[0]} is the host's, so {len(addresses) - 1} pods can have one of their own.",
        document.where(interface.line),
    )


def _cns_endpoint(case: Case, document: Document, endpoint: Obj) -> None:
    addresses = [
        ip.text("IP")
        for interface in endpoint.obj("IfnameToIPMap").values()
        if isinstance(interface, Obj)
        for ip in [*interface.items_of("IPv4"), *interface.items_of("IPv6")]
        if isinstance(ip, Obj)
    ]
    pod = f"{endpoint.text('PodNamespace')}/{endpoint.text('PodName')}"
    container = next((name for _, obj in document.objects() for name, value in obj.items() if value is endpoint), "")
    _live(case, container, pod, addresses, document.where(endpoint.line), "CNS endpoint")


def _live(case: Case, container: str, pod: str, addresses: list[str], where: Evidence, what: str) -> None:
    if container:
        case.live_containers[container] = where
        if pod:
            case.pod_of(container, pod)
    for address in addresses:
        case.live_pods.see(Pod(pod or container, address, "", running=True, where=where))
    case.fact(
        "endpoint",
        f"{what} of {pod or 'an unnamed pod'} has {', '.join(addresses) or 'no address'} (container "
        f"{container or 'not named'}).",
        where,
    )


# --- the wireserver's answer ----------------------------------------------------------------------------------------

_SUBNET = re.compile(r"<IPSubnet[^>]*Prefix=\"(?P<prefix>[^\"]+)\"[^>]*>(?P<body>.*?)(?:</IPSubnet>|$)", re.DOTALL)
_INTERFACE = re.compile(r"<Interface\b(?P<head>[^>]*)>(?P<body>.*?)(?:</Interface>|$)", re.DOTALL)
_ADDRESS = re.compile(r"<IPAddress\b(?P<head>[^>]*)/?>")


def read_wireserver(case: Case, file: str, number: int, text: str, line: bytes) -> None:
    """Read the XML of `getinterfaceinfov1`, what the node may give to pods. A cut one is read as far as it goes."""
    where = evidence(file, number, line)
    for interface in _INTERFACE.finditer(text):
        mac = re.search(r"MacAddress=\"([^\"]*)\"", interface["head"])
        kind = "primary" if 'IsPrimary="true"' in interface["head"] else "secondary"
        for subnet in _SUBNET.finditer(interface["body"]):
            _wireserver_subnet(case, subnet, f"{kind} NIC {mac[1] if mac else 'unnamed'}", where)
    if "</Interfaces>" not in text:
        case.signal(
            "cut-document",
            file,
            where,
            values={"what": "wireserver answer", "reason": "The closing </Interfaces> is missing"},
        )


def _wireserver_subnet(case: Case, subnet: re.Match[str], nic: str, where: Evidence) -> None:
    heads = [match["head"] for match in _ADDRESS.finditer(subnet["body"])]
    primary = sum('IsPrimary="true"' in head for head in heads)
    prefix, usable = subnet["prefix"], len(heads) - primary
    case.fact(
        "wireserver-subnet",
        f"The wireserver lists {len(heads)} addresses of {prefix} on {nic}: {primary} primary (the host's) and "
        f"{usable} secondary; "
        f"so {usable} pods with an address of their own fit this subnet of the node.",
        where,
    )
    pool: Pool = case.pool(prefix, "wireserver list")
    pool.capacity = usable
    pool.evidence = [where]
    if usable == 0:
        case.signal("azure-capacity-zero", prefix, where)
