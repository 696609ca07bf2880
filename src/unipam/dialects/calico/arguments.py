"""CNI_ARGS as calico-ipam reads them (spec §9.14, §1.13): which are known, and what is said of the others."""

from __future__ import annotations

from collections.abc import Collection
from typing import NamedTuple

from unipam.addr.prefix import parse_address
from unipam.cni import call
from unipam.golang.formatting import quote
from unipam.model.errors import BadConfig

_POD = ("IP", "K8S_POD_NAME", "K8S_POD_NAMESPACE", "K8S_POD_INFRA_CONTAINER_ID")
_TRUE, _FALSE = frozenset(("1", "true")), frozenset(("0", "false"))


class Arguments(NamedTuple):
    """The pod, both empty when none is named, and the address that is asked for."""

    namespace: str = ""
    pod: str = ""
    address: int | None = None

    @property
    def workload(self) -> str:
        """What handles were called in Calico 2; empty when that was the container's id."""
        return f"{self.namespace}.{self.pod}" if self.pod else ""


def load(given: call.Arguments) -> Arguments:
    """Read CNI_ARGS. Raises BadConfig in libcni's words.

    They are read twice, as by the original: whatever only a pod has is unknown to the address' reader.
    """
    found = _load(given, _POD)
    _load(given, ("IP",))
    pod, namespace = found.get("K8S_POD_NAME", ""), found.get("K8S_POD_NAMESPACE", "")
    named = bool(pod and namespace)
    address = parse_address(found["IP"]) if found.get("IP") else None
    return Arguments(namespace if named else "", pod if named else "", address)


def pod_of(given: call.Arguments) -> Arguments:
    """Read whatever CNI_ARGS say of the pod, however broken they are: a DEL does not need them."""
    pod, namespace = given.named.get("K8S_POD_NAME", ""), given.named.get("K8S_POD_NAMESPACE", "")
    return Arguments(namespace, pod) if pod and namespace and not given.problem else Arguments()


def _load(given: call.Arguments, known: Collection[str]) -> dict[str, str]:
    found: dict[str, str] = {}
    unknown = []
    for key, value in given.pairs:
        pair = f"{key}={value}"
        if key in known or key == "IgnoreUnknown":
            _check(pair, key, value)
            found[key] = value
        else:
            unknown.append(quote(pair))
    if given.problem:
        raise BadConfig(given.problem)
    if unknown and found.get("IgnoreUnknown", "").lower() not in _TRUE:
        raise BadConfig(f"ARGS: unknown args [{' '.join(unknown)}]")
    return found


def _check(pair: str, key: str, value: str) -> None:
    try:
        if key == "IP" and value:
            parse_address(value)
        elif key == "IgnoreUnknown" and value.lower() not in _TRUE | _FALSE:
            raise ValueError(f"boolean unmarshal error: invalid input {value}")
    except ValueError as error:
        raise BadConfig(f"ARGS: error parsing value of pair {quote(pair)}: {error}") from None
