"""CNI configurations: which plugins, which IPAM, what range, and which network variant of AKS that makes.

The name of the file decides nothing: `10-azure.conflist` holds azure-vnet-ipam on one node and CNS on another.
Grammar is judged as a runtime would, but only where a whole file is at hand.
"""

from __future__ import annotations

import re
from typing import Any

from unipam.addr.prefix import parse_interface
from unipam.diagnose import variants
from unipam.diagnose.case import Case
from unipam.diagnose.documents.tree import Document, Obj

_PLACEHOLDER = re.compile(r"__[A-Z][A-Z0-9_]*__")
_IPAM_TYPES = frozenset(
    {
        "host-local",
        "azure-vnet-ipam",
        "azure-vnet-ipamv6",
        "azure-cns",
        "azure-ipam",
        "calico-ipam",
        "dhcp",
        "static",
        "whereabouts",
    }
)
_OVERLAY_MODES = frozenset({"v4overlay", "v6overlay", "overlay", "dualStackOverlay"})
_BIG_RANGE = 20
"""A prefix shorter than this on one node is a cluster's range, not a node's."""


def read(case: Case, document: Document, *, whole: bool) -> bool:
    """Record what a configuration shows. Returns whether the tree was one."""
    text = b"\n".join(document.raw_lines.get(line, b"") for line in _lines_of(document)).decode("utf-8", "replace")
    placeholders = list(dict.fromkeys(_PLACEHOLDER.findall(text)))
    found = False
    for conf in _configurations(document):
        _Configuration(case, document, conf, bool(placeholders)).tell()
        found = True
    if not found:
        return False
    where = document.where(document.first_line)
    if placeholders:
        case.signal(
            "config-template", document.origin or document.file, where, values={"placeholders": ", ".join(placeholders)}
        )
    elif document.faults and whole and not document.fragment and not document.elided:
        last = document.faults[-1]
        case.signal(
            "conflist-broken",
            document.origin or document.file,
            document.where(last.line),
            values={"reason": last.text, "line": last.line},
        )
    return True


def _lines_of(document: Document) -> list[int]:
    return sorted(document.raw_lines)


def _configurations(document: Document) -> list[Obj]:
    """Return the outermost mappings that are a configuration: a list of plugins, one plugin, or only its `ipam`."""
    found: list[Obj] = []
    inside: set[int] = set()
    for _, obj in document.objects():
        if id(obj) in inside or not _is_configuration(obj):
            continue
        found.append(obj)
        inside.update(_ids_below(obj))
    return found


def _ids_below(obj: Any) -> set[int]:
    parts = obj.values() if isinstance(obj, Obj) else obj if isinstance(obj, list) else ()
    ids = {id(obj)} if isinstance(obj, Obj) else set()
    for part in parts:
        ids |= _ids_below(part)
    return ids


def _is_configuration(obj: Obj) -> bool:
    plugins = obj.get("plugins")
    if isinstance(plugins, list) and any(isinstance(plugin, Obj) for plugin in plugins):
        return True
    ipam = obj.get("ipam")
    return isinstance(ipam, Obj) and isinstance(ipam.get("type"), str) and ipam["type"].rstrip('"') in _IPAM_TYPES


class _Configuration:
    """One configuration, read for what it says of IPAM."""

    def __init__(self, case: Case, document: Document, conf: Obj, template: bool) -> None:
        self.case, self.document, self.conf, self.template = case, document, conf, template
        plugins = [plugin for plugin in conf.items_of("plugins") if isinstance(plugin, Obj)] or [conf]
        self.chain = [plugin.text("type") for plugin in plugins if plugin.text("type")]
        self.main = next((plugin for plugin in plugins if isinstance(plugin.get("ipam"), Obj)), plugins[0])
        self.ipam = self.main.obj("ipam")
        self.type = self.main.text("type")
        self.ipam_type = self.ipam.text("type")
        self.name = conf.text("name") or self.main.text("name")
        line = self.ipam.line_of("type") if self.ipam_type else self.main.line
        self.where = document.where(line)

    def tell(self) -> None:
        name, certain = self.variant()
        shown = {
            "mode": self.main.text("mode"),
            "node": self.document.node,
            "file": self.document.origin,
            "pasted under": self.document.label,
        }
        details = [f"{what} {value}" for what, value in shown.items() if value]
        variants.seen(self.case, name, self.where, *details, certain=certain and not self.template)
        self.case.fact("configuration", self.summary(), self.where)
        if self.ipam_type == "host-local":
            self.ranges()
        if self.type == "calico" or self.ipam_type == "calico-ipam":
            self.calico()
        if name == "kubenet" and self.name:
            self.unusual()
        if self.ipam_type == "azure-vnet-ipam" and not self.ipam.text("subnet"):
            self.case.fact(
                "azure-vnet-ipam-subnet",
                "azure-vnet-ipam finds its subnet at the first ADD; Calico's policy, if any, does not change this "
                "file.",
                self.where,
            )

    def summary(self) -> str:
        parts = [f"plugin {self.type or '(not shown)'}", f"IPAM {self.ipam_type or 'inside the plugin'}"]
        if self.main.text("executionMode"):
            parts.append(f"executionMode {self.main.text('executionMode')}")
        if self.ipam.text("mode"):
            parts.append(f"ipam mode {self.ipam.text('mode')}")
        if len(self.chain) > 1:
            parts.append(f"then {' and '.join(self.chain[1:])}")
        return f"Configuration {self.name or '(no name shown)'}: {', '.join(parts)}."

    def variant(self) -> tuple[str, bool]:
        """Return the name of the variant, and whether the configuration leaves no doubt."""
        if self.ipam_type.startswith("azure-vnet-ipam"):
            return ("azure-cni", True) if self.type in {"azure-vnet", ""} else ("other", True)
        if self.ipam_type == "azure-cns":
            return ("azure-cni-overlay" if self.ipam.text("mode") in _OVERLAY_MODES else "azure-cni-podsubnet", True)
        if self.ipam_type == "azure-ipam":
            return ("azure-cilium", True)
        if self.type == "cilium-cni":
            return ("cilium", True)
        if self.ipam_type == "calico-ipam":
            return ("calico", True)
        if self.ipam_type == "host-local":
            return self.host_local_variant()
        return ("flannel" if self.type == "flannel" else "other", bool(self.type))

    def host_local_variant(self) -> tuple[str, bool]:
        pod_cidr = "usePodCidr" in {self.ipam.text("subnet"), *self.subnets()}
        if self.type == "calico" or pod_cidr:
            return ("kubenet-calico" if pod_cidr else "calico-host-local", True)
        if self.type == "bridge" and (self.name == "kubenet" or self.main.text("bridge") == "cbr0"):
            return ("kubenet", self.name == "kubenet")
        kubenet_shape = bool(self.ipam.items_of("ranges")) and bool(self.ipam.items_of("routes"))
        if not self.type and kubenet_shape:
            return ("kubenet", False)
        return ("host-local", bool(self.type))

    def subnets(self) -> list[str]:
        """Return the subnets of `ipam.ranges` and of the old `ipam.subnet`."""
        sets = self.ipam.items_of("ranges")
        inner = [
            part.text("subnet") for group in sets if isinstance(group, list) for part in group if isinstance(part, Obj)
        ]
        return [subnet for subnet in [*inner, self.ipam.text("subnet")] if subnet]

    def ranges(self) -> None:
        directory = f"{(self.ipam.text('dataDir') or '/var/lib/cni/networks').rstrip('/')}/{self.name or '<network>'}"
        for subnet in self.subnets():
            try:
                _, network = parse_interface(subnet)
            except ValueError:
                self.case.fact(
                    "host-local-range",
                    f"host-local takes its range from the node's podCIDR ({subnet}); state in {directory}.",
                    self.where,
                )
                continue
            if not self.template:
                self.case.ranges_in_use.append((f"configuration {self.name or '(no name shown)'}", network, self.where))
            usable = max(0, network.size - 3)
            self.case.fact(
                "host-local-range",
                f"host-local range {subnet}: {usable} usable pod addresses (network, broadcast and gateway are "
                f"not given out); state in {directory}. "
                "The range should equal the node's podCIDR.",
                self.where,
            )
            if network.family == 4 and network.bits < _BIG_RANGE:
                self.case.fact(
                    "wide-range",
                    f"{subnet} is as wide as a whole cluster: safe only while there is one node, for host-local "
                    "knows only its own node.",
                    self.where,
                )

    def calico(self) -> None:
        if self.ipam_type == "calico-ipam":
            self.case.fact(
                "calico-block-size", "Calico IPAM: blocks of /26 unless the pool says otherwise.", self.where
            )
        node, log = self.main.text("nodename"), self.main.text("log_file_path")
        if node and not _PLACEHOLDER.search(node):
            self.case.fact(
                "calico-node-name",
                f"Calico keys its affinities by the node name {node}.",
                self.document.where(self.main.line_of("nodename")),
            )
        if log:
            self.case.fact(
                "calico-log", f"Calico's CNI log is {log}.", self.document.where(self.main.line_of("log_file_path"))
            )

    def unusual(self) -> None:
        """Report what the kubenet template of AKS has and this file does not."""
        reasons = []
        if self.name != "kubenet":
            reasons.append(f"the network is named {self.name}, not kubenet")
        if self.main.get("ipMasq") is True:
            reasons.append("ipMasq is true")
        if not self.ipam.items_of("routes"):
            reasons.append("no routes")
        if len(reasons) >= 2:
            self.case.signal(
                "conflist-unusual",
                self.document.origin or self.document.file,
                self.where,
                values={"reason": "; ".join(reasons), "network": self.name},
            )
