"""The CNI protocol as the reference implementation speaks it: what is validated, in which order, with which words.

Source: spec cni-and-host-local §1.2, §1.3 (skel of libcni 1.3), §1.7. Nothing of any plugin is known here.
"""

from __future__ import annotations

import functools
import os
import re
from collections.abc import Callable, Iterator
from typing import Any, TypeVar, cast

import msgspec

from unipam.addr.prefix import parse_address
from unipam.cni.call import Call
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


T = TypeVar("T")


class Config:
    """A network configuration as far as the protocol reads it; the rest is in `document`.

    What else somebody reads out of it, it remembers: a node's pods bring the same one again and again.
    """

    __slots__ = ("_readings", "document", "name", "version")

    def __init__(self, name: str, version: str, document: dict[str, Any]) -> None:
        self.name = name
        self.version = version
        self.document = document
        self._readings: dict[object, Any] = {}

    def read(self, reading: Callable[[Config], T]) -> T:
        """What `reading` finds in it. Raises what that raises, each time anew."""
        if reading in self._readings:
            return cast("T", self._readings[reading])
        return self._readings.setdefault(reading, reading(self))  # type: ignore[no-any-return]


def check_environment(call: Call) -> None:
    """The variables that the verb needs. Raises BadEnvironment; a wrong value is reported before a missing one."""
    env, verb = call.env, call.verb
    missing = [] if verb else ["CNI_COMMAND"]
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


def read_config(stdin: bytes) -> Config:
    """The configuration. Raises Undecodable or BadConfig."""
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


def read_version(config: Config) -> Config:
    """The configuration with the version it asks for; absent means 0.1.0. Raises Undecodable."""
    try:
        version = decoding.read(_VERSION_SHAPE, config.document).get("cniVersion") or VERSIONS[0]
    except BadConfig as error:
        raise Undecodable(f"decoding version from network config: {error}") from None
    return Config(config.name, version, config.document)


def check_verb(verb: str) -> None:
    """Raises BadEnvironment for a verb that nobody knows."""
    if verb not in _VERBS:
        raise BadEnvironment(f"unknown CNI_COMMAND: {verb}", verb=verb)


def check_version(verb: str, version: str, spoken: tuple[str, ...] = VERSIONS) -> None:
    """Whether the version allows the verb, and is one that we speak. Raises UnsupportedVersion."""
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
    """A version as numbers. Raises Undecodable in libcni's words."""
    parts = version.split(".")
    if len(parts) > 3:
        raise Undecodable(f"invalid version {quote(version)}: too many parts")
    return [*map(_number, ("major", "minor", "micro"), parts), 0, 0][:3]


def _number(which: str, part: str) -> int:
    if re.fullmatch(r"[+-]?[0-9]{1,9}", part):
        return int(part)
    text = quote(part)
    raise Undecodable(f"failed to convert {which} version part {text}: strconv.Atoi: parsing {text}: invalid syntax")


def check_namespace(call: Call) -> int | None:
    """The inode of the container's network namespace; None when its path leads nowhere, which others will report.

    It must not be the plugin's own: raises BadEnvironment. Asked before anything is handed out, unlike the reference,
    which asks when it is too late (defect D8).
    """
    env = call.env
    try:
        theirs = os.stat(env["CNI_NETNS"])
    except (OSError, ValueError):
        return None
    if env.get("CNI_NETNS_OVERRIDE", "").upper() not in {"1", "TRUE"} and _is_own(theirs, call):
        raise BadEnvironment(
            "plugin's netns and netns from CNI_NETNS should not be the same", code=8, netns=env["CNI_NETNS"]
        )
    return theirs.st_ino


def _is_own(namespace: os.stat_result, call: Call) -> bool:
    if call.home and call.home != namespace.st_ino:
        return False
    try:
        ours = os.stat(f"/proc/{call.pid or 'self'}/ns/net")
    except OSError:
        return False
    return (namespace.st_ino, namespace.st_dev) == (ours.st_ino, ours.st_dev)


def parse_args(text: str) -> Iterator[tuple[str, str]]:
    """CNI_ARGS pair by pair. Raises BadConfig on reaching one that is none, as libcni words it."""
    for parts in split_args(text):
        if len(parts) != 2:
            raise BadConfig(f"ARGS: invalid pair {quote('='.join(parts))}")
        yield parts[0], parts[1]


@functools.lru_cache(maxsize=16)
def split_args(text: str) -> list[list[str]]:
    """CNI_ARGS in its parts, pairs or not; remembered, because one call asks for it several times."""
    return [pair.split("=") for pair in text.split(";")] if text else []


def previous_addresses(document: dict[str, Any]) -> list[int] | None:
    """The addresses of `prevResult`, as places on the line; None when there is none. Raises BadConfig."""
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
    """The attachments that GC must spare, under the key's present or its former name; None when neither is there.

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
