"""The native launcher without an agent, or with one that does not answer: how it becomes the interpreter."""

from __future__ import annotations

import os
import shutil
import socket
import struct
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from unipam.cni import launcher
from unipam.cni.call import AT_IT

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.cni.conftest import AgentByHand, Node


def test_without_a_socket_it_becomes_the_interpreter(node: Node) -> None:
    env = node.env | {"PATH": "/usr/bin:/bin", "EMPTY": "", "UNIPAM_CALL": "inherited"}
    node.assert_cold(node.ask(env=env).finish())
    entries = node.recorded_env()
    calls = [entry for entry in entries if entry.startswith("UNIPAM_CALL=")]
    assert len(calls) == 1
    assert len(calls[0]) == len("UNIPAM_CALL=") + 32
    expected = {f"{key}={value}" for key, value in env.items() if key != "UNIPAM_CALL"}
    assert expected <= set(entries)


@pytest.mark.parametrize("size", [0, 1, 65_536, 16 << 20])
def test_the_interpreter_gets_stdin_of_any_size(node: Node, size: int) -> None:
    stdin = os.urandom(size)
    node.assert_cold(node.ask(stdin).finish(), stdin)


def test_stdin_that_was_not_read_is_the_interpreters_own(node: Node) -> None:
    node.assert_cold(node.ask(b"untouched", env={"CNI_COMMAND": "VERSION"}).finish(), b"untouched")


def test_a_socket_that_nobody_listens_on(node: Node) -> None:
    with socket.socket(socket.AF_UNIX) as left_over:
        left_over.bind(str(node.socket))
    node.assert_cold(node.ask().finish())


def test_a_socket_whose_backlog_is_full_is_not_waited_for(node: Node) -> None:
    with socket.socket(socket.AF_UNIX) as busy:
        busy.bind(str(node.socket))
        busy.listen(0)
        waiting = socket.socket(socket.AF_UNIX)
        waiting.connect(str(node.socket))
        with waiting:
            node.assert_cold(node.ask().finish())


@pytest.mark.parametrize(
    "answer",
    [b"", b"\x05", struct.pack("<IBI", 100, 0, 50) + b"half of", struct.pack("<IBI", 5, 0, 0)[:-1]],
    ids=["nothing", "a byte", "half", "all but a byte"],
)
def test_an_agent_that_dies_in_mid_call(node: Node, agent_by_hand: AgentByHand, answer: bytes) -> None:
    process = node.ask()
    call = agent_by_hand.receive()
    call.connection.sendall(answer)
    call.hang_up()
    node.assert_cold(process.finish())
    assert f"UNIPAM_CALL={call.env['UNIPAM_CALL']}" in node.recorded_env()


@pytest.mark.parametrize(
    "answer", [struct.pack("<IBI", 4, 0, 0), struct.pack("<IBI", 10, 0, 6), struct.pack("<IBI", 2**32 - 1, 0, 0)]
)
def test_an_answer_that_is_none(node: Node, agent_by_hand: AgentByHand, answer: bytes) -> None:
    process = node.start_by_shell("ulimit -v 1000000; exec {plugin}")  # kilobytes: there is no room for 4 GiB
    process.give(node.conf)
    call = agent_by_hand.receive()
    call.connection.sendall(answer)
    node.assert_cold(process.finish())
    assert call.rest() == b""


def test_an_agent_that_hangs_up_before_the_question_is_sent(node: Node, agent_by_hand: AgentByHand) -> None:
    process = node.ask(bytes(8 << 20))  # more than the socket buffers
    agent_by_hand.accept().close()
    node.assert_cold(process.finish(), bytes(8 << 20))


@pytest.mark.parametrize("said", [b"", AT_IT, AT_IT + AT_IT[:2]], ids=["nothing", "at it", "half of it"])
def test_a_silent_agent_is_waited_for_no_longer_than_4_s(node: Node, agent_by_hand: AgentByHand, said: bytes) -> None:
    process = node.ask()
    call = agent_by_hand.receive()
    call.connection.sendall(said)
    node.assert_cold(process.finish())
    assert call.rest() == b""
    assert f"UNIPAM_CALL={call.env['UNIPAM_CALL']}" in node.recorded_env()


def test_neither_agent_nor_interpreter(node: Node) -> None:
    node.interpreter.unlink()
    message = node.ask().finish().error()
    assert f"{node.socket} could not be reached (ENOENT, errno 2)" in message
    assert f"{node.interpreter} could not be started in its place (ENOENT, errno 2)" in message
    assert "unipam cni install" in message
    swallowed_by_runtimes = ("not found", "no such file")
    assert not any(words in message.lower() for words in swallowed_by_runtimes)


def test_an_agent_that_dies_and_an_interpreter_that_may_not_run(node: Node, agent_by_hand: AgentByHand) -> None:
    node.interpreter.chmod(0o644)
    process = node.ask()
    agent_by_hand.receive().hang_up()
    message = process.finish().error()
    assert "went away before its answer, and" in message
    assert "(EACCES, errno 13)" in message


def test_paths_in_an_error_are_quoted(tmp_path: Path, make_node: Callable[[Path], Node]) -> None:
    directory = tmp_path / 'a "b\\c\n\x01é'
    directory.mkdir()
    node = make_node(directory)
    node.interpreter.unlink()
    message = node.ask().finish().error()
    assert str(node.socket) in message
    assert str(node.interpreter) in message


def test_a_launcher_that_was_copied_but_not_installed_says_so(node: Node) -> None:
    shutil.copy(Path(launcher.__file__).with_name("launcher"), node.plugin)
    assert "unipam cni install" in node.start().finish().error()


def test_with_arguments_nobody_is_asked_and_all_are_passed_on(node: Node, agent_by_hand: AgentByHand) -> None:
    """`calico-ipam -upgrade` is no call of a runtime's: the interpreter gets stdin unread, and all arguments."""
    words = ["calico-ipam", "-upgrade", "", "with space"]
    assert node.ask(b"untouched", args=words, executable=node.plugin).finish() == (3, b"cold\n", b"")
    assert node.recorded("argv").split(b"\0")[-5:] == [*map(os.fsencode, words), b""]
    assert node.recorded("stdin") == b"untouched"
    assert not agent_by_hand.has_callers()
