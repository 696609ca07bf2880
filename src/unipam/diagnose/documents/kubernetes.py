"""What `kubectl get pods|events|nodes -o json|yaml` and `crictl pods|ps -o json` print."""

from __future__ import annotations

from unipam.diagnose import rules, stamps
from unipam.diagnose.case import Case
from unipam.diagnose.documents.tree import Document, Obj
from unipam.diagnose.excerpt import Excerpt, Origin
from unipam.diagnose.live_pods import Pod


def read(case: Case, document: Document) -> bool:
    """Record what a tree shows of pods, sandboxes, nodes and events. Returns whether it was one of theirs."""
    found = False
    for _, obj in document.objects():
        kind = obj.text("kind")
        if kind == "Event" or (not kind and {"involvedObject", "message"} <= obj.keys()):
            _event(case, document, obj)
        elif isinstance(obj.get("status"), Obj) and (
            "podIP" in obj.obj("status") or (kind == "Pod" and "phase" in obj.obj("status"))
        ):
            _pod(case, document, obj)
        elif kind == "Node" and isinstance(obj.get("status"), Obj):
            _node(case, document, obj)
        elif obj.text("state").startswith("SANDBOX_"):
            _sandbox(case, document, obj, obj.text("id"), ready=obj.text("state") == "SANDBOX_READY")
        elif "podSandboxId" in obj:
            _sandbox(case, document, obj, obj.text("podSandboxId"), ready=obj.text("state") == "CONTAINER_RUNNING")
        else:
            continue
        found = True
    return found


def _name(obj: Obj) -> str:
    meta = obj.obj("metadata")
    return f"{meta.text('namespace')}/{meta.text('name')}" if meta.text("namespace") else meta.text("name")


def _pod(case: Case, document: Document, obj: Obj) -> None:
    spec, status = obj.obj("spec"), obj.obj("status")
    where = document.where(obj.obj("metadata").line_of("name"))
    addresses = [part.text("ip") for part in status.items_of("podIPs") if isinstance(part, Obj)] or [
        status.text("podIP")
    ]
    on_host = spec.get("hostNetwork") is True or status.text("podIP") == status.text("hostIP") != ""
    case.live_pods.host(status.text("hostIP"))
    for address in addresses:
        case.live_pods.see(
            Pod(_name(obj), address, spec.text("nodeName"), status.text("phase") == "Running", where, on_host=on_host)
        )


def _node(case: Case, document: Document, obj: Obj) -> None:
    for part in obj.obj("status").items_of("addresses"):
        if isinstance(part, Obj):
            case.live_pods.host(part.text("address"))
    spec, name = obj.obj("spec"), _name(obj)
    cidrs = [str(cidr) for cidr in spec.items_of("podCIDRs")] or [spec.text("podCIDR")]
    for cidr in filter(None, cidrs):
        case.node_ranges.add(cidr)
        case.pod_cidrs.setdefault(cidr, document.where(spec.line_of("podCIDR")))
        case.fact("pod-cidr", f"Node {name} has the podCIDR {cidr}.", document.where(spec.line_of("podCIDR")))


def _sandbox(case: Case, document: Document, obj: Obj, identity: str, *, ready: bool) -> None:
    if ready and identity:
        case.live_containers[identity[:13]] = document.where(obj.line)
    meta = obj.obj("metadata")
    if meta.text("namespace"):
        case.pod_of(identity, f"{meta.text('namespace')}/{meta.text('name')}")


def _event(case: Case, document: Document, obj: Obj) -> None:
    about = obj.obj("involvedObject") or obj.obj("regarding")
    text = f"{obj.text('reason')} {obj.text('message') or obj.text('note')}"
    line = obj.line_of("message")
    pod = f"{about.text('namespace')}/{about.text('name')}" if about.text("kind") in {"Pod", ""} else ""
    node = obj.obj("source").text("host") or obj.text("reportingInstance")
    times = obj.number("count") or obj.obj("series").number("count") or 1
    last = obj.text("lastTimestamp") or obj.obj("series").text("lastObservedTime") or obj.text("eventTime")
    stamp = stamps.rfc3339(last.encode()) if last else None
    origin = Origin(stamp[0] if stamp else None, pod, node=node, times=times, shown=document.where(line))
    rules.apply(case, Excerpt(document.file, [(line, text.encode())], origin))
