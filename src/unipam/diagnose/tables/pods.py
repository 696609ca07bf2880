"""Lists of what runs: `kubectl get pods` in its forms, `crictl pods` and `ps`, `kubectl get nodes -o wide`."""

from __future__ import annotations

import re
from collections.abc import Iterator

from unipam.diagnose.case import Case, evidence
from unipam.diagnose.live_pods import Pod

Numbered = list[tuple[int, str]]

_IP = r"(?:\d+\.){3}\d+|[0-9a-f]{1,4}:[0-9a-f:]+"
_POD = re.compile(
    r"^\s*(?:(?P<namespace>[a-z0-9][a-z0-9-]*)\s+)?(?P<name>[a-z0-9][a-z0-9.-]*)\s+\d+/\d+\s+(?P<status>[A-Z][\w:]*)\s+\d+(?:\s+\([^)]*\))?"
    rf"\s+\w+\s+(?P<ip>{_IP}|<none>)\s+(?P<node>[\w.<>-]+)"
)
_NARROW = re.compile(
    r"^\s*(?:[a-z0-9-]+\s+)?[a-z0-9][a-z0-9.-]*\s+\d+/\d+\s+[A-Z]\w+\s+\d+(?:\s+\([^)]*\))?\s+\d+[smhdy]\w*\s*$"
)
_WAITING = re.compile(
    r"^\s*(?:(?P<namespace>[a-z0-9][a-z0-9-]*)\s+)?(?P<name>[a-z0-9][a-z0-9.-]*)\s+0/\d+\s+ContainerCreating\s+\d+"
    r"(?:\s+\([^)]*\))?\s+(?P<age>\d+(?P<unit>[smhdy])\w*)"
)
_SANDBOX = re.compile(
    r"^\s*(?P<id>[0-9a-f]{13})[0-9a-f]*\s+.*?\b(?P<state>Ready"
    r"|NotReady)\s+(?P<name>[a-z0-9.-]+)\s+(?P<namespace>[a-z0-9-]+)\s+\d+"
)
_CONTAINER = re.compile(
    r"^\s*[0-9a-f]{13}[0-9a-f]*\s+\S+\s+.*?\b(?P<state>Running|Exited|Created"
    r"|Unknown)\s+\S+\s+\d+\s+(?P<id>[0-9a-f]{13})[0-9a-f]*\b"
)
_ID = re.compile(r"\s*(?:[0-9a-f]{64}|[0-9a-f]{13})\s*$")
_NODE = re.compile(rf"^\s*(?P<node>[a-z0-9][\w.-]*)\s+(?:Not)?Ready\S*\s+\S+\s+\w+\s+v\d\S*\s+(?P<ip>{_IP})\s")
_HEAD = re.compile(
    r"^\s*(?:NAMESPACE\s+)?NAME\s+(?:READY|STATUS)\s+|^\s*POD ID\s+CREATED\s+STATE|^\s*CONTAINER\s+IMAGE\s+CREATED"
)
_DESCRIBED = re.compile(r"^(?P<key>Name|Namespace|Node|Status|IP):\s+(?P<value>\S.*?)\s*$")
_INTERNAL_IP = re.compile(rf"^\s*InternalIP:\s+(?P<ip>{_IP})\s*$")


def read(case: Case, file: str, lines: Numbered) -> set[int]:
    """Read whatever of these the lines hold. Returns the numbers of the lines that were understood."""
    known = _bare_ids(case, file, lines)
    for number, text in lines:
        _waits(case, file, number, text)
        if _row(case, file, number, text) or _HEAD.match(text) or _NARROW.match(text):
            known.add(number)
    return known | _described(case, file, lines)


def _row(case: Case, file: str, number: int, text: str) -> bool:
    if (pod := _POD.match(text)) is not None:
        name = f"{pod['namespace']}/{pod['name']}" if pod["namespace"] else pod["name"]
        address = "" if pod["ip"] == "<none>" else pod["ip"]
        case.live_pods.see(Pod(name, address, pod["node"], pod["status"] == "Running", evidence(file, number, text)))
        if name.startswith("calico-system/") or "/calico-" in name:
            case.calico_sign = case.calico_sign or evidence(file, number, text)
    elif (sandbox := _SANDBOX.match(text)) is not None:
        if sandbox["state"] == "Ready":
            case.live_containers[sandbox["id"]] = evidence(file, number, text)
        case.pod_of(sandbox["id"], f"{sandbox['namespace']}/{sandbox['name']}")
    elif (container := _CONTAINER.match(text)) is not None:
        if container["state"] == "Running":
            case.live_containers[container["id"]] = evidence(file, number, text)
    elif (node := _NODE.match(text)) is not None:
        case.live_pods.host(node["ip"])
    else:
        return False
    return True


def _waits(case: Case, file: str, number: int, text: str) -> None:
    """Record a pod that is being created for minutes: it waits, most often for its network."""
    waiting = _WAITING.match(text)
    if waiting is None or waiting["unit"] == "s":
        return
    namespace = f"{waiting['namespace']}/" if waiting["namespace"] else ""
    values = {"age": waiting["age"]}
    case.signal("pods-waiting", "", evidence(file, number, text), values=values, pods=[f"{namespace}{waiting['name']}"])


def _bare_ids(case: Case, file: str, lines: Numbered) -> set[int]:
    """Read what `crictl pods -q` prints: ids and nothing else."""
    full = [(number, text) for number, text in lines if text.strip()]
    if not full or not all(_ID.match(text) for _, text in full):
        return set()
    for number, text in full:
        case.live_containers[text.strip()[:13]] = evidence(file, number, text)
    return {number for number, _ in full}


def _described(case: Case, file: str, lines: Numbered) -> set[int]:
    """Read what `kubectl describe pod` and `describe node` print."""
    known: set[int] = set()
    for fields, numbers in _descriptions(case, lines, known):
        if {"Name", "Namespace", "Status"} <= fields.keys():
            number, text = numbers["Name"]
            running = fields["Status"] == "Running"
            node = fields.get("Node", "").partition("/")
            case.live_pods.host(node[2])
            pod = Pod(
                f"{fields['Namespace']}/{fields['Name']}",
                fields.get("IP", ""),
                node[0],
                running,
                evidence(file, number, text),
            )
            case.live_pods.see(pod)
            known.update(number for number, _ in numbers.values())
    return known


def _descriptions(
    case: Case, lines: Numbered, known: set[int]
) -> Iterator[tuple[dict[str, str], dict[str, tuple[int, str]]]]:
    fields: dict[str, str] = {}
    numbers: dict[str, tuple[int, str]] = {}
    for number, text in lines:
        if (inner := _INTERNAL_IP.match(text)) is not None:
            case.live_pods.host(inner["ip"])
            known.add(number)
        match = _DESCRIBED.match(text)
        if match is None:
            continue
        if match["key"] == "Name" and fields:
            yield fields, numbers
            fields, numbers = {}, {}
        fields.setdefault(match["key"], match["value"])
        numbers.setdefault(match["key"], (number, text))
    if fields:
        yield fields, numbers
