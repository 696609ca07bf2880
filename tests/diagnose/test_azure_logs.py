"""azure-vnet-ipam's logs of every generation: captured ones to the last line, and the cases that they do not hold."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from unipam.diagnose import diagnose
from unipam.diagnose.report import Report

Read = Callable[[str], Report]
STAMP = "2025/03/05 18:16:"
CAPTURED = ("log_v1459_azure-vnet-ipam.log", "log_v1812_azure-vnet-ipam.log", "log_v1812_azure-vnet.log")


@pytest.mark.parametrize("name", CAPTURED)
def test_every_line_of_a_captured_log_is_accounted_for(shared: Path, name: str) -> None:
    path = shared / "fixtures/azure-vnet-ipam" / name
    (source,) = diagnose([path]).sources
    assert source.unknown == 0
    assert source.lines == len(path.read_bytes().splitlines()) == sum(source.formats.values())


def test_the_captured_scenarios_are_told(shared: Path) -> None:
    report = diagnose([shared / "fixtures/azure-vnet-ipam" / CAPTURED[0]])
    assert {found.kind: found.count for found in report.findings} == {
        "azure-exhausted": 3,
        "state-corrupt": 1,
        "azure-no-pool": 1,
        "refresh-failed": 2,
        "azure-del-without-subnet": 1,
    }
    exhausted = report.findings[0]
    assert exhausted.entities["pods"] == ["default/pod-e", "default/pod-f", "default/pod-h"]
    assert "10.224.0.0/16 (3 addresses)" in exhausted.title
    assert "10.224.0.7 by default/pod-c since 2026-11-24 06:42:50" in exhausted.meaning
    acts = [
        (event.verb, event.pod) for track in report.timeline if track.subject == "10.224.0.5" for event in track.events
    ]
    assert acts == [("given", "default/pod-b"), ("released", "default/pod-b"), ("given", "default/pod-g")]


def test_the_two_files_of_the_json_generation_are_joined(shared: Path) -> None:
    report = diagnose([shared / "fixtures/azure-vnet-ipam" / name for name in CAPTURED[1:]])
    exhausted = next(found for found in report.findings if found.kind == "azure-exhausted")
    assert {"default/pod-e", "default/pod-f", "default/pod-h"} <= set(exhausted.entities["pods"])
    given = {track.subject: track.events[0].pod for track in report.timeline if track.events[0].verb == "given"}
    assert given["10.225.0.5"] == "default/pod-a"


def test_the_notes_are_told_whole(shared: Path, told: Callable[[Report], str]) -> None:
    report = diagnose([shared / "notes/ipam-notes.txt"])
    assert [(variant.name, variant.certain) for variant in report.variants] == [
        ("azure-cni", True),
        ("kubenet-calico", True),
        ("kubenet", False),
    ]
    assert {found.kind for found in report.findings} == {"azure-exhausted", "clock-skew"}
    text = told(report)
    for words in (
        "28 addresses",
        "kube-system/metrics-server-6998bdf5b-sq47j",
        "2 h ahead",
        "mode transparent",
        "akscal",
    ):
        assert words in text
    (released,) = [track for track in report.timeline if track.subject == "10.224.0.5"]
    assert [event.verb for event in released.events] == ["released"]
    (source,) = report.sources
    assert not [where for where in source.unknown_examples if "[ipam]" in where.text]


def session(pid: int, second: int, *lines: str, released: bool = True) -> list[str]:
    head = ["Acquiring process lock", "Acquired process lock with timeout value of 10s "]
    body = [*head, *lines, *(["Released process lock"] if released else [])]
    return [f"{STAMP}{second:02} [{pid}] {line}" for line in body]


def add(cid: str, address: str) -> list[str]:
    return [
        f"[ipam] Requesting address with address: options:map[azure.address.id:{cid}].",
        f"[ipam] Address request completed with address:{address}/16",
    ]


def test_processes_that_interleave_are_told_apart(read: Read) -> None:
    one = session(1, 10, *add("aaaa", "10.0.0.5"))
    two = session(2, 10, *add("bbbb", "10.0.0.6"))
    mixed = [line for pair in zip(one, two, strict=True) for line in pair]
    report = read("\n".join(mixed))
    assert {(track.subject, track.events[0].container) for track in report.timeline} == {
        ("10.0.0.5", "aaaa"),
        ("10.0.0.6", "bbbb"),
    }
    assert not report.findings


def test_an_unknown_message_of_the_plugin_is_counted_and_shown(read: Read) -> None:
    (source,) = read(f"{STAMP}10 [1] [ipam] Something nobody has seen\n{STAMP}10 [1] [net] whatever").sources
    assert source.unknown == 1
    assert source.unknown_examples[0].line == 1


def test_who_holds_the_lock_at_the_end_is_named(read: Read) -> None:
    stuck = session(7, 10, released=False)
    waiting = [f"{STAMP}{second} [{pid}] Acquiring process lock" for pid, second in ((8, 12), (9, 40))]
    (found,) = read("\n".join(stuck + waiting)).findings
    assert (found.kind, found.subject, found.values["waiting"]) == ("lock-stuck", "7", 2)


def test_a_log_that_ends_in_a_call_is_only_cut(read: Read) -> None:
    report = read("\n".join([*session(7, 10, released=False), f"{STAMP}12 [8] Acquiring process lock"]))
    assert not report.findings
    assert [note.kind for note in report.notes] == ["partial-session"]


def test_long_waits_for_the_lock_are_a_warning(read: Read) -> None:
    lines = [f"{STAMP}10 [5] Acquiring process lock", f"{STAMP}18 [5] Acquired process lock with timeout value of 10s "]
    (found,) = read("\n".join([*lines, f"{STAMP}18 [5] Released process lock"])).findings
    assert (found.kind, found.values["longest"]) == ("lock-wait", 8)


def test_a_nic_without_secondary_addresses_is_no_leak(read: Read) -> None:
    # The oldest form: no pid, the failed request reads as completed with nothing.
    stamp = "2019/04/10 10:01:12"
    lines = (
        "[cni-ipam] Plugin azure-vnet-ipam version v1.0.11.",
        "[cni-ipam] Processing ADD command with args {ContainerID:aa IfName:eth0 "
        "Args:K8S_POD_NAMESPACE=default;K8S_POD_NAME=web Path:}.",
        "[ipam] got 0 addresses from interface eth0, subnet 10.1.0.0/24",
        "[cni-ipam] Allocated address poolID 10.1.0.0/24 with subnet 10.1.0.0/24.",
        "[ipam] Requesting address with address: options:map[].",
        "[ipam] Address request completed with address:<nil> err:<nil>.",
        "[cni-ipam] Failed to allocate address: No available addresses.",
        "[cni-ipam] ADD command completed with result:<nil> err:Failed to allocate address: No available addresses.",
    )
    report = read("\n".join(f"{stamp} {line}" for line in lines))
    (found,) = report.findings
    assert (found.kind, found.subject, found.count, found.entities["pods"]) == (
        "azure-capacity-zero",
        "10.1.0.0/24",
        1,
        ["default/web"],
    )
    assert report.sources[0].unknown == 0


def test_the_mixed_generation_is_one_call(read: Read) -> None:
    # v1.5.7 to v1.5.13: cni-ipam in JSON, ipam and the lock in text, in one file.
    text = session(9, 10, *add("cccc", "10.0.0.9"))
    zap = '{"level":"info","ts":"2025-03-05T18:16:10.1Z","caller":"x","msg":"%s","pid":9,"component":"cni-ipam"%s}'
    head = zap % ("Plugin version.", ',"name":"azure-vnet-ipam","version":"v1.5.9"')
    tail = zap % ("ADD command completed", ',"result":{"ips":[{"address":"10.0.0.9/16"}]}')
    report = read("\n".join([*text[:2], head, *text[2:-1], tail, text[-1]]))
    (track,) = report.timeline
    assert [(event.verb, event.container, event.lock_seconds) for event in track.events] == [("given", "cccc", 0.0)]
    assert not report.notes
    assert report.sources[0].unknown == 0


def test_the_transitional_json_is_read_as_text(read: Read) -> None:
    line = (
        '{"level":"info","ts":"2023-09-12T22:06:29.6Z","pid":31,"component":"cni",'
        '"msg":"[ipam] Address request completed with address:10.1.0.7/24"}'
    )
    assert [track.subject for track in read(line).timeline] == ["10.1.0.7"]


def test_an_empty_store_gives_nothing_twice(read: Read) -> None:
    # After a reboot the store is empty.
    fresh = [*TWICE[:-5], *session(2, 20, "[ipam] store key not found", *add("b" * 64, "10.0.0.5"))]
    assert not read("\n".join(fresh)).findings


def test_rejected_addresses_of_the_wireserver(read: Read) -> None:
    lines = (
        "[ipam] Number of IPAddress found in ipsubnet 10.0.0.0/16: 29",
        "[ipam] got 20 addresses from interface eth0, subnet 10.0.0.0/16",
    )
    (found,) = read("\n".join(session(3, 10, *lines))).findings
    assert (found.kind, found.values["found"], found.values["capacity"]) == ("addresses-rejected", 29, 20)


@pytest.mark.parametrize(
    ("stored", "skewed"),
    [
        ("2025-03-05 18:16:10.5 +0000 UTC", False),
        ("2025-03-05 18:16:10.5 +0200 EET", False),  # the node's own zone, on its own clock
        ("2025-03-05 16:16:10.5 +0000 UTC", True),
        ("2025-03-05 17:43:51.5 +0000 UTC", False),  # merely old: another process saved it
        ("2025-03-05 20:00:00.5 +0000 UTC", True),  # nothing is stored in the future
    ],
)
def test_clock_skew(read: Read, stored: str, skewed: bool) -> None:
    saved = session(1, 10, "[ipam] Save succeeded.")
    later = session(2, 30, f"[ipam] Restored state, &{{Version:v1.4.59 TimeStamp:{stored} AddrSpaces:map[local:0xc0]}}")
    assert {found.kind for found in read("\n".join(saved + later)).findings} == ({"clock-skew"} if skewed else set())


def delete(cid: str, address: str) -> list[str]:
    return [
        f"[ipam] Releasing address with address:{address} options:map[azure.address.id:{cid}].",
        f"[ipam] Address release completed with address:{address} err:<nil>.",
    ]


OTHER = session(3, 15, *delete("c" * 64, "10.0.0.9"))
TWICE = [*session(1, 10, *add("a" * 64, "10.0.0.5")), *OTHER, *session(2, 20, *add("b" * 64, "10.0.0.5"))]


def test_an_address_given_twice_in_a_log_that_shows_releases(read: Read) -> None:
    assert [found.kind for found in read("\n".join(TWICE)).findings] == ["given-twice"]


def test_a_log_without_releases_proves_no_double(read: Read) -> None:
    assert not read("\n".join(line for line in TWICE if "eleas" not in line)).findings


@pytest.mark.parametrize(
    "line",
    [
        f"[cni-net] Processing DEL command with args {{ContainerID:{'a' * 64} Netns: IfName:eth0 Args: "
        f"Path:/opt/cni/bin}}.",
        f"[net] Deleting endpoint {'a' * 8}-eth0 from network azure.",
    ],
)
def test_the_end_of_a_container_in_azure_vnets_own_log_is_a_release(tmp_path: Path, line: str) -> None:
    (tmp_path / "azure-vnet-ipam.log").write_text("\n".join(TWICE) + "\n")
    (tmp_path / "azure-vnet.log").write_text(
        f"{STAMP}15 [9] {line}\n{STAMP}15 [9] [cni-net] DEL command completed with err:<nil>.\n"
    )
    assert not diagnose([tmp_path]).findings


def test_a_release_after_the_second_holder_got_the_address_does_not_excuse_it(read: Read) -> None:
    late = [*TWICE, *session(4, 30, *delete("a" * 64, "10.0.0.5"))]
    assert [found.kind for found in read("\n".join(late)).findings] == ["given-twice"]


@pytest.mark.parametrize("blotted", ["xxx", "<id>", "REDACTED", "..."])
def test_what_was_blotted_out_is_no_container(read: Read, blotted: str) -> None:
    report = read("\n".join(session(1, 10, *add(blotted, "10.0.0.5"))))
    (track,) = report.timeline
    assert [event.container for event in track.events] == [""]
