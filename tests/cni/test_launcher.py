"""The native launcher with an agent: what it forwards, what it relays, and when it acknowledges."""

from __future__ import annotations

import os
import signal
import struct
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from unipam.cni import launcher
from unipam.cni.call import AT_IT, Answer, encode_answer

if TYPE_CHECKING:
    from tests.cni.conftest import AgentByHand, Node

RESULT = b'{\n    "ips": []\n}\n'


# ---- with an agent


def test_it_forwards_the_call_and_relays_the_answer(node: Node, agent_by_hand: AgentByHand) -> None:
    process = node.ask(env=node.env | {"PATH": "/bin", "HOME": "/root", "XCNI_X": "1"}, cwd=node.directory)
    call = agent_by_hand.receive()
    assert call.name == str(node.plugin)
    assert call.cwd == str(node.directory)
    assert {key: call.env[key] for key in call.env if key != "UNIPAM_CALL"} == node.env
    assert call.stdin == node.conf
    call.answer(0, RESULT, b"a warning\n")
    assert call.rest() == b"k"
    assert process.finish() == (0, RESULT, b"a warning\n")


def test_an_agent_that_is_at_it_is_waited_for(node: Node, agent_by_hand: AgentByHand) -> None:
    """For longer than one that is silent: each empty frame says that it still is."""
    process = node.ask()
    call = agent_by_hand.receive()
    for _ in range(50):
        call.connection.sendall(AT_IT)
        time.sleep(0.1)
    call.answer(0, RESULT, b"a warning\n")
    assert call.rest() == b"k"
    assert process.finish() == (0, RESULT, b"a warning\n")


@pytest.mark.parametrize("frames", [1, 2, 100_000])
def test_it_may_say_so_with_the_answer(node: Node, agent_by_hand: AgentByHand, frames: int) -> None:
    process = node.ask()
    call = agent_by_hand.receive()
    call.connection.sendall(AT_IT * frames + encode_answer(Answer(0, RESULT, b"a warning\n")))
    assert call.rest() == b"k"
    assert process.finish() == (0, RESULT, b"a warning\n")


@pytest.mark.parametrize("code", [0, 1, 2, 255])
def test_the_exit_code_is_the_agents(node: Node, agent_by_hand: AgentByHand, code: int) -> None:
    process = node.ask()
    agent_by_hand.receive().answer(code)
    assert process.finish() == (code, b"", b"")


def test_it_tells_the_name_it_was_called_by(node: Node, agent_by_hand: AgentByHand) -> None:
    process = node.ask(args=["calico-ipam"], executable=node.plugin)
    call = agent_by_hand.receive()
    assert call.name == "calico-ipam"
    call.answer(0)
    assert process.finish() == (0, b"", b"")


def test_a_removed_working_directory_is_told_as_unknown(node: Node, agent_by_hand: AgentByHand) -> None:
    (node.directory / "gone").mkdir()
    process = node.start_by_shell("rmdir ../gone && exec {plugin}", cwd=node.directory / "gone")
    process.give(node.conf)
    call = agent_by_hand.receive()
    assert call.cwd == ""
    call.answer(0)
    assert process.finish() == (0, b"", b"")


def test_every_call_has_a_name_of_its_own_whatever_it_inherits(node: Node, agent_by_hand: AgentByHand) -> None:
    names = []
    for _ in range(3):
        process = node.ask(env=node.env | {"UNIPAM_CALL": "inherited"})
        call = agent_by_hand.receive()
        call.answer(0)
        process.finish()
        names.append(call.env["UNIPAM_CALL"])
    assert len(set(names)) == 3
    assert all(len(name) == 32 and int(name, 16) for name in names)


@pytest.mark.parametrize("env", [{}, {"CNI_COMMAND": ""}, {"CNI_COMMAND": "VERSION"}])
def test_without_a_command_and_for_version_stdin_is_left_alone(
    node: Node, agent_by_hand: AgentByHand, env: dict[str, str]
) -> None:
    process = node.start(env)  # whose stdin stays open, as a terminal's
    call = agent_by_hand.receive()
    assert call.stdin == b""
    call.answer(0, RESULT)
    assert call.rest() == b"k"
    assert process.stdin
    assert process.wait() == 0
    assert process.finish() == (0, RESULT, b"")


@pytest.mark.parametrize("command", ["VERSIONS", "version", "ADD", "nonsense"])
def test_for_any_other_command_stdin_is_read(node: Node, agent_by_hand: AgentByHand, command: str) -> None:
    process = node.ask(env={"CNI_COMMAND": command})
    call = agent_by_hand.receive()
    assert call.stdin == node.conf
    call.answer(0)
    process.finish()


@pytest.mark.parametrize("size", [0, 1, 65_535, 65_536, 70_000, 16 << 20])
def test_stdin_of_any_size_arrives_whole(node: Node, agent_by_hand: AgentByHand, size: int) -> None:
    stdin = os.urandom(1024) * (size // 1024) + bytes(size % 1024)
    process = node.ask(stdin)
    call = agent_by_hand.receive()
    assert call.stdin == stdin
    call.answer(0)
    assert process.finish() == (0, b"", b"")


def test_more_than_16_mib_of_stdin_are_refused_without_a_call(node: Node, agent_by_hand: AgentByHand) -> None:
    with (node.directory / "huge").open("w+b") as huge:
        huge.truncate((16 << 20) + 1)
        process = node.start(stdin=huge)
        assert "16 MiB" in process.finish().error()
    assert not agent_by_hand.has_callers()


def test_stdin_that_cannot_be_read_is_an_error(node: Node, agent_by_hand: AgentByHand) -> None:
    descriptor = os.open(node.directory, os.O_RDONLY)
    try:
        assert node.start(stdin=descriptor).finish().error() == "error reading from stdin: errno 21"
    finally:
        os.close(descriptor)
    assert not agent_by_hand.has_callers()


def test_a_slow_non_blocking_stdin_is_waited_for(node: Node, agent_by_hand: AgentByHand) -> None:
    reading, writing = os.pipe()
    os.set_blocking(reading, False)
    process = node.start(stdin=reading)
    os.write(writing, node.conf[:10])
    os.write(writing, node.conf[10:])
    os.close(writing)
    os.close(reading)
    call = agent_by_hand.receive()
    assert call.stdin == node.conf
    call.answer(0)
    process.finish()


def test_a_large_environment_and_answer_arrive_whole(node: Node, agent_by_hand: AgentByHand) -> None:
    env = node.env | {f"CNI_X{i}": "x" * 100_000 for i in range(5)}
    out, err = os.urandom(3_000_000), os.urandom(200_000)
    process = node.ask(env=env)
    call = agent_by_hand.receive()
    assert {key: call.env[key] for key in env} == env
    call.answer(7, out, err)
    assert process.finish() == (7, out, err)
    assert call.rest() == b"k"


def test_an_answer_in_pieces_is_put_together(node: Node, agent_by_hand: AgentByHand) -> None:
    process = node.ask()
    call = agent_by_hand.receive()
    for byte in struct.pack("<IBI", 5 + len(RESULT), 4, len(RESULT)) + RESULT:
        call.connection.sendall(bytes([byte]))
    assert process.finish() == (4, RESULT, b"")


def test_a_non_blocking_stdout_is_waited_for(node: Node, agent_by_hand: AgentByHand) -> None:
    reading, writing = os.pipe()
    os.set_blocking(writing, False)
    process = node.start(stdout=writing)
    os.close(writing)
    process.give(node.conf)
    call = agent_by_hand.receive()
    out = os.urandom(1 << 20)
    call.answer(0, out)
    with open(reading, "rb") as stream:
        assert stream.read() == out
    assert call.rest() == b"k"
    assert process.finish() == (0, None, b"")


def test_being_stopped_and_continued_does_not_disturb_a_call(node: Node, agent_by_hand: AgentByHand) -> None:
    process = node.ask()
    call = agent_by_hand.receive()
    process.send_signal(signal.SIGSTOP)
    os.waitpid(process.pid, os.WUNTRACED)
    process.send_signal(signal.SIGCONT)
    call.answer(0, RESULT)
    assert process.finish() == (0, RESULT, b"")


# ---- the acknowledgement


def test_no_acknowledgement_when_nobody_reads_stdout(node: Node, agent_by_hand: AgentByHand) -> None:
    reading, writing = os.pipe()
    os.close(reading)
    process = node.start(stdout=writing)
    os.close(writing)
    process.give(node.conf)
    call = agent_by_hand.receive()
    call.answer(0, RESULT)
    assert call.rest() == b""
    assert process.finish() == (1, None, b"")


def test_no_acknowledgement_when_the_disk_is_full(node: Node, agent_by_hand: AgentByHand) -> None:
    with Path("/dev/full").open("wb") as full:
        process = node.ask(stdout=full)
    call = agent_by_hand.receive()
    call.answer(0, RESULT)
    assert call.rest() == b""
    assert process.finish() == (1, None, b"")


def test_no_acknowledgement_from_a_launcher_that_was_killed(node: Node, agent_by_hand: AgentByHand) -> None:
    process = node.ask()
    call = agent_by_hand.receive()
    process.kill()
    process.finish()
    assert call.rest() == b""


@pytest.mark.parametrize("closed", ["<&-", ">&-", "2>&-", "<&- >&- 2>&-"])
def test_a_closed_standard_descriptor_is_never_taken_by_the_socket(
    node: Node, agent_by_hand: AgentByHand, closed: str
) -> None:
    process = node.start_by_shell(f"exec {{plugin}} {closed}", env={"CNI_COMMAND": "VERSION"})
    call = agent_by_hand.receive()
    call.answer(0, RESULT, b"to nobody")
    lost = " >&-" in f" {closed}"  # "2>&-" is the other one
    assert call.rest() == (b"" if lost else b"k")
    assert process.finish()[:2] == ((1, b"") if lost else (0, RESULT))


def test_an_answer_that_cannot_be_acknowledged_is_no_success(node: Node, agent_by_hand: AgentByHand) -> None:
    """The agent that hung up may have taken the address back: the caller must not use it."""
    process = node.ask()
    call = agent_by_hand.receive()
    out = bytes(1 << 20)  # more than a pipe holds: the launcher is still writing when the agent hangs up
    call.answer(0, out)
    call.hang_up()
    assert process.finish() == (1, out, b"")


def test_an_answer_without_a_result_needs_no_acknowledgement(node: Node, agent_by_hand: AgentByHand) -> None:
    """A DEL that was done is done, though the agent ends before it knows that we know."""
    process = node.ask()
    call = agent_by_hand.receive()
    err = bytes(1 << 20)
    call.answer(0, b"", err)
    call.hang_up()
    assert process.finish() == (0, b"", err)


# ---- what it is made of


def test_it_is_static_small_and_keeps_its_stack_from_being_run() -> None:
    binary = Path(launcher.__file__).with_name("launcher").read_bytes()
    offset, size, count = struct.unpack_from("<Q14xHH", binary, 32)
    headers = [struct.unpack_from("<II", binary, offset + i * size) for i in range(count)]
    interpreter, stack, executable = 3, 0x6474E551, 1
    kinds = dict(headers)
    assert interpreter not in kinds
    assert not kinds[stack] & executable
    assert len(binary) < 32_768


values = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=40)


@settings(deadline=None, max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.binary(max_size=300), values, st.tuples(st.integers(0, 255), st.binary(max_size=300), st.binary(max_size=100))
)
def test_whatever_is_asked_and_answered_passes_through_unchanged(
    node: Node, agent_by_hand: AgentByHand, stdin: bytes, value: str, answer: tuple[int, bytes, bytes]
) -> None:
    process = node.ask(stdin, env={"CNI_COMMAND": "ADD", "CNI_ARGS": value})
    call = agent_by_hand.receive()
    assert (call.stdin, call.env["CNI_ARGS"]) == (stdin, value)
    call.answer(*answer)
    assert call.rest() == b"k"
    assert process.finish() == answer
