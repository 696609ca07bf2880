"""`"source": "podcidr"`: the node's podCIDRs, as host-local serves them in the place of a subnet.

The leases are host-local's too, in its data directory: a network goes over from one to the other as it is.
"""

from __future__ import annotations

from typing import Any

from unipam.cni.call import Call, Config
from unipam.cni.context import Context
from unipam.cni.plugin import Reply, Verb
from unipam.dialects.host_local.pod_cidr import ALL
from unipam.dialects.host_local.verbs import PLUGIN


def _rewritten(document: dict[str, Any], name: str, version: str) -> Config:
    ipam = document.get("ipam")
    inner = ipam if isinstance(ipam, dict) else {}
    return Config(name, version, {**document, "ipam": {**inner, "subnet": ALL}})


def _by_host_local(verb: str) -> Verb:
    def answer(call: Call, context: Context) -> Reply:
        call.config = call.config.read(_rewritten, call.config.name, call.config.version)
        return PLUGIN.verbs[verb](call, context)

    return answer


VERBS = {verb: _by_host_local(verb) for verb in PLUGIN.verbs}
