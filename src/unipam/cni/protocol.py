"""The CNI protocol as the reference implementation speaks it: what is validated, in which order, with which words.

Source: spec cni-and-host-local §1.2, §1.3 (skel of libcni 1.3), §1.7. Nothing of any plugin is known here.
"""

from __future__ import annotations

import functools
import os
import re
from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from unipam.addr.prefix import parse_address
from unipam.cni.call import KEY, NO_ARGUMENTS, Arguments, Call, Config
from unipam.golang import decoding
from unipam.golang.formatting import quote
from unipam.model.errors import BadConfig, BadEnvironment, Undecodable, UnsupportedVersion
from unipam.model.records import Owner

VERSIONS = ("0.1.0", "0.2.0", "0.3.0", "0.3.1", "0.4.0", "1.0.0", "1.1.0")

# Which variables a verb needs, in the order in which they are looked at.
_REQUIRED = {
    "ADD": ("CNI_CONTAINERID", "CNI_NETNS", "CNI_IFNAME", "CNI_PATH"),
    "DEL": ("CNI_CONTAINERID", "CNI_IFNAME", "CNI_PATH"),
    "CHECK": ("CNI_CONTAINERID", "CNI_NETNS", "CNI_IFNAME", "CNI_PATH"),
    "GC": ("CNI_PATH",),
    "STATUS": ("CNI_PATH",),
}
_SINCE = {"CHECK": "0.4.0", "GC": "1.1.0", "STATUS": "1.1.0"}
_VERBS = frozenset(("ADD", "DEL", "CHECK", "GC", "STATUS", "VERSION"))
_NAME = re.compile(r"[a-zA-Z0-9][a-zA-Z0-9_.\-]*").fullmatch
_INTERFACE_WRONG = re.compile(r"[/:\s]").search


_CACHED_BYTES = 16 * 1024
"""Configurations up to this size are remembered, the latest ones."""


def read(call: Call, spoken: Sequence[str], *, apart: bool) -> None:
    """Read everything that a call says into the call, in the order in which libcni checks it.

    `spoken` are the plugin's versions. With `apart` it is found out whether an ADD is for the caller's own network
    namespace. Raises BadEnvironment, Undecodable, BadConfig or UnsupportedVersion; what was read before then stays.
    """
    env, verb = call.env, call.verb
    call.key, call.last = env.get(KEY, ""), call.pid == 0
    call.arguments = read_arguments(env.get("CNI_ARGS", ""))
    if not verb:  # a person called
        return
    _check_environment(env, verb)
    if verb == "VERSION":
        return
    call.config = _remembered(call.stdin) if len(call.stdin) <= _CACHED_BYTES else _read_config(call.stdin)
    if verb not in _VERBS:
        raise BadEnvironment(f"unknown CNI_COMMAND: {verb}", verb=verb)
    call.config = call.config.read(_read_version, call.config.name)
    _check_version(verb, call.config.version, spoken)
    if verb == "ADD":
        _read_attachment(call, apart=apart)


def _check_environment(env: Mapping[str, str], verb: str) -> None:
    """Check the variables that the verb needs. Raises BadEnvironment; for a wrong value before a missing one."""
    missing = []
    for name in _REQUIRED.get(verb, ()):
        value = env.get(name)
        if not value:
            missing.append(name)
        elif name == "CNI_CONTAINERID":
            _check_container(value)
        elif name == "CNI_IFNAME":
            _check_interface(value)
    if missing:
        raise BadEnvironment(f"required env variables [{','.join(missing)}] missing", missing=missing)


def _check_container(value: str) -> None:
    if not (value.isalnum() and value.isascii()) and not _NAME(value):  # most are hexadecimal, and this is quicker
        raise BadEnvironment("invalid characters in containerID", details=value)


@functools.lru_cache(maxsize=16)  # it is "eth0"
def _check_interface(value: str) -> None:
    if len(os.fsencode(value)) > 15:
        raise BadEnvironment("interface name is too long", details="interface name should be less than 16 characters")
    if value in {".", ".."}:
        raise BadEnvironment("interface name is . or ..", interface=value)
    if _INTERFACE_WRONG(value):
        raise BadEnvironment("interface name contains / or : or whitespace characters", interface=value)


_NAME_SHAPE = decoding.Struct('struct { Name string "json:\\"name\\"" }', "", {"name": decoding.Text()})
_VERSION_SHAPE = decoding.Struct(
    'struct { CNIVersion string "json:\\"cniVersion\\"" }', "", {"cniVersion": decoding.Text()}
)


def _read_config(stdin: bytes) -> Config:
    """Return the configuration, without its version. Raises Undecodable or BadConfig."""
    try:
        document = decoding.parse(stdin)
        name = decoding.read(_NAME_SHAPE, document).get("name") or ""
    except (BadConfig, Undecodable) as error:
        raise Undecodable(f"error unmarshall network config: {error}") from None
    if not name:
        raise BadConfig("missing network name")
    if not _NAME(name):
        raise BadConfig("invalid characters found in network name", details=name)
    return Config(name, "", document)


_remembered = functools.lru_cache(maxsize=256)(_read_config)


def _read_version(document: dict[str, Any], name: str) -> Config:
    """Return the configuration with the version it asks for; absent means 0.1.0. Raises Undecodable."""
    try:
        version = decoding.read(_VERSION_SHAPE, document).get("cniVersion") or VERSIONS[0]
    except BadConfig as error:
        raise Undecodable(f"decoding version from network config: {error}") from None
    return Config(name, version, document)


def _check_version(verb: str, version: str, spoken: Sequence[str]) -> None:
    """Check that the version allows the verb, and is spoken. Raises UnsupportedVersion, or Undecodable for none."""
    since = _SINCE.get(verb)
    if since and _ordered(version) < _ordered(since):
        raise UnsupportedVersion(f"config version does not allow {verb}", version=version)
    if since and _ordered(version) > _ordered(spoken[-1]):
        raise UnsupportedVersion(f"plugin version does not allow {verb}", version=version)
    if version not in spoken:
        supported = " ".join(map(quote, spoken))
        raise UnsupportedVersion(
            "incompatible CNI versions",
            details=f"config is {quote(version)}, plugin supports [{supported}]",
            version=version,
        )


def _ordered(version: str) -> list[int]:
    """Return a version as numbers. Raises Undecodable in libcni's words."""
    parts = version.split(".")
    if len(parts) > 3:
        raise Undecodable(f"invalid version {quote(version)}: too many parts")
    return [*map(_number, ("major", "minor", "micro"), parts), 0, 0][:3]


def _number(which: str, part: str) -> int:
    if re.fullmatch(r"[+-]?[0-9]{1,9}", part):
        return int(part)
    text = quote(part)
    raise Undecodable(f"failed to convert {which} version part {text}: strconv.Atoi: parsing {text}: invalid syntax")


def read_arguments(text: str) -> Arguments:
    """Split CNI_ARGS as libcni does."""
    if not text:
        return NO_ARGUMENTS
    parts = [pair.split("=") for pair in text.split(";")]
    try:
        return Arguments(parts, "", dict(parts))
    except ValueError:  # one of them is no pair
        end = next(number for number, part in enumerate(parts) if len(part) != 2)
        problem = f"ARGS: invalid pair {quote('='.join(parts[end]))}"
        return Arguments(parts[:end], problem, dict(part for part in parts if len(part) == 2))


def _read_attachment(call: Call, *, apart: bool) -> None:
    """Read who the owner of the address will be, as far as the runtime says, and look at its namespace."""
    named, env = call.arguments.named, call.env
    facts: dict[str, object] = {}
    if pod := call.arguments.pod:
        facts["pod"] = pod
    if "K8S_POD_UID" in named:
        facts["uid"] = named["K8S_POD_UID"]
    if named.get("K8S_POD_INFRA_CONTAINER_ID") == env["CNI_CONTAINERID"]:
        facts["sandbox"] = float(call.asked)  # only CRI runtimes say so; whether it is still made is a matter of time
    facts["netns"] = env["CNI_NETNS"]
    try:
        namespace = os.stat(env["CNI_NETNS"])
    except (OSError, ValueError):  # its path leads nowhere, which others will report
        pass
    else:
        facts["inode"] = namespace.st_ino
        call.own = apart and _is_own(namespace, call)
    call.facts = facts


def _is_own(namespace: os.stat_result, call: Call) -> bool:
    if call.env.get("CNI_NETNS_OVERRIDE", "").upper() in {"1", "TRUE"}:
        return False
    if call.namespace and call.namespace != namespace.st_ino:
        return False
    try:
        ours = os.stat(f"/proc/{call.pid or 'self'}/ns/net")
    except OSError:
        return False
    return (namespace.st_ino, namespace.st_dev) == (ours.st_ino, ours.st_dev)


def own_namespace(call: Call) -> BadEnvironment:
    """Return the error of an ADD for the caller's own network namespace.

    A plugin raises it before it hands out anything, unlike the reference, which asks when it is too late (defect D8).
    """
    return BadEnvironment(
        "plugin's netns and netns from CNI_NETNS should not be the same", code=8, netns=call.env["CNI_NETNS"]
    )


def previous_addresses(document: dict[str, Any]) -> list[int] | None:
    """Return the addresses of `prevResult`, as places on the line; None when there is none. Raises BadConfig."""
    previous = document.get("prevResult")
    if previous is None:
        return None
    try:
        return [parse_address(ip["address"].partition("/")[0]) for ip in previous.get("ips") or ()]
    except (AttributeError, KeyError, TypeError, ValueError):
        raise BadConfig("cannot read prevResult: it must be the result of an ADD") from None


class _Attachment(msgspec.Struct):
    containerID: str  # noqa: N815 (as CNI spells it)
    ifname: str


def valid_attachments(document: dict[str, Any]) -> set[Owner] | None:
    """Return the attachments that GC must spare, by the key's present or former name; None when neither is there.

    null is an empty list (spec §1.5), a key matches in any case. Raises BadConfig, so that a list that cannot be read
    frees nothing.
    """
    keys = ("cni.dev/valid-attachments", "cni.dev/attachments")
    folded = {key.casefold(): value for key, value in document.items()}
    key = next((key for key in keys if key in folded), None)
    if key is None:
        return None
    try:
        found = msgspec.convert(folded[key], list[_Attachment] | None) or ()
    except msgspec.ValidationError as error:
        problem = f"cannot read {key}: {error}: it must be a list of containerID and ifname; nothing freed"
        raise BadConfig(problem) from None
    return {Owner(each.containerID, each.ifname) for each in found}
