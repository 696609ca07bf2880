"""The native launcher as a runtime runs it: a real process, a real socket with this test as its agent.

Its settings are patched in by ``unipam.cni.launcher``; its "interpreter" is a script that records what it was given.
"""

from __future__ import annotations

import json
import os
import signal
import socket
import struct
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from unipam.cni import launcher

if TYPE_CHECKING:
    from collections.abc import Iterator

PATIENCE = 20  # seconds; only a broken launcher waits that long
ADD = {"CNI_COMMAND": "ADD", "CNI_CONTAINERID": "c1", "CNI_IFNAME": "eth0", "CNI_NETNS": "/n", "CNI_PATH": "/p"}
CONF = b'{"cniVersion":"1.0.0","name":"net","ipam":{"type":"host-local"}}'
RESULT = b'{\n    "ips": []\n}\n'

COLD = """#!/bin/sh
printf '%s\\0' "$@" > "{0}/argv"
env -0 > "{0}/env"
cat > "{0}/stdin"
echo cold
exit 3
"""


@dataclass
class Call:
    """One connection of a launcher, its question already read."""

    connection: socket.socket
    name: str
    cwd: str
    env: dict[str, str]
    stdin: bytes

    def answer(self, code: int, out: bytes = b"", err: bytes = b"") -> None:
        self.connection.sendall(struct.pack("<IBI", 5 + len(out) + len(err), code, len(out)) + out + err)

    def rest(self) -> bytes:
        """All that comes until the launcher hangs up."""
        with self.connection.makefile("rb") as stream:
            return stream.read()


class Agent:
    """A socket that a test answers by hand, in the order in which things happen."""

    def __init__(self, path: Path) -> None:
        self.listener = socket.socket(socket.AF_UNIX)
        self.listener.bind(str(path))
        self.listener.listen(8)
        self.listener.settimeout(PATIENCE)
        self.connections: list[socket.socket] = []

    def receive(self) -> Call:
        connection, _ = self.listener.accept()
        self.connections.append(connection)
        connection.settimeout(PATIENCE)
        with connection.makefile("rb") as stream:
            (size,) = struct.unpack("<I", stream.read(4))
            frame = stream.read(size)
        name, cwd, rest = frame.split(b"\0", 2)
        entries, stdin = rest.split(b"\0\0", 1)
        env = dict(entry.split("=", 1) for entry in os.fsdecode(entries).split("\0"))
        return Call(connection, os.fsdecode(name), os.fsdecode(cwd), env, stdin)

    def has_callers(self) -> bool:
        self.listener.settimeout(0)
        try:
            self.connections.append(self.listener.accept()[0])
        except BlockingIOError:
            return False
        return True

    def close(self) -> None:
        for each in [*self.connections, self.listener]:
            each.close()


@dataclass
class Node:
    """A plugin directory, the agent's place, and what the cold path was given."""

    directory: Path

    @property
    def plugin(self) -> Path:
        return self.directory / "host-local"

    @property
    def socket(self) -> Path:
        return self.directory / "agent.sock"

    @property
    def interpreter(self) -> Path:
        return self.directory / "python"

    def recorded(self, what: str) -> bytes:
        return (self.directory / what).read_bytes()

    def recorded_env(self) -> list[bytes]:
        return self.recorded("env").split(b"\0")

    def start(self, env: dict[str, str] | None = None, **how: Any) -> subprocess.Popen[bytes]:
        pipes: dict[str, Any] = dict.fromkeys(("stdin", "stdout", "stderr"), subprocess.PIPE)
        return subprocess.Popen([str(self.plugin)], env=ADD if env is None else env, **(pipes | how))

    def run(self, stdin: bytes = CONF, env: dict[str, str] | None = None, **how: Any) -> tuple[int, bytes, bytes]:
        """For calls that the test need not answer."""
        process = self.start(env, **how)
        out, err = process.communicate(stdin, timeout=PATIENCE)
        return process.returncode, out, err


def make_node(directory: Path) -> Node:
    node = Node(directory)
    node.interpreter.write_text(COLD.format(directory))
    node.interpreter.chmod(0o755)
    node.plugin.write_bytes(launcher.told(node.socket, str(node.interpreter)))
    node.plugin.chmod(0o755)
    return node


@pytest.fixture
def node(tmp_path: Path) -> Node:
    return make_node(tmp_path)


@pytest.fixture
def agent(node: Node) -> Iterator[Agent]:
    agent = Agent(node.socket)
    yield agent
    agent.close()


def give(process: subprocess.Popen[bytes], stdin: bytes = CONF) -> None:
    assert process.stdin
    process.stdin.write(stdin)
    process.stdin.close()
    process.stdin = None


def finish(process: subprocess.Popen[bytes]) -> tuple[int, bytes, bytes]:
    out, err = process.communicate(timeout=PATIENCE)
    return process.returncode, out, err


def error_of(answer: tuple[int, bytes, bytes]) -> str:
    code, out, err = answer
    assert (code, err) == (1, b"")
    document = json.loads(out)
    assert out.startswith(b'{\n    "code": 5,\n    "msg": "')
    assert list(document) == ["code", "msg"]
    return str(document["msg"])


# ---- with an agent


def test_it_forwards_the_call_and_relays_the_answer(node: Node, agent: Agent) -> None:
    process = node.start(ADD | {"PATH": "/bin", "HOME": "/root", "XCNI_X": "1"}, cwd=node.directory)
    give(process)
    call = agent.receive()
    assert call.name == str(node.plugin)
    assert call.cwd == str(node.directory)
    assert {key: call.env[key] for key in call.env if key != "UNIPAM_CALL"} == ADD
    assert call.stdin == CONF
    call.answer(0, RESULT, b"a warning\n")
    assert call.rest() == b"k"
    assert finish(process) == (0, RESULT, b"a warning\n")


@pytest.mark.parametrize("code", [0, 1, 2, 255])
def test_the_exit_code_is_the_agents(node: Node, agent: Agent, code: int) -> None:
    process = node.start()
    give(process)
    agent.receive().answer(code)
    assert finish(process) == (code, b"", b"")


def test_it_tells_the_name_it_was_called_by(node: Node, agent: Agent) -> None:
    process = subprocess.Popen(["calico-ipam"], executable=node.plugin, env=ADD, stdin=subprocess.DEVNULL)
    call = agent.receive()
    assert call.name == "calico-ipam"
    call.answer(0)
    assert process.wait(PATIENCE) == 0


def test_a_removed_working_directory_is_told_as_unknown(node: Node, agent: Agent) -> None:
    (node.directory / "gone").mkdir()
    script = f'cd "{node.directory}/gone" && rmdir ../gone && exec "{node.plugin}"'
    process = subprocess.Popen(["/bin/sh", "-c", script], env=ADD, stdin=subprocess.DEVNULL)
    call = agent.receive()
    assert call.cwd == ""
    call.answer(0)
    assert process.wait(PATIENCE) == 0


def test_every_call_has_a_name_of_its_own_whatever_it_inherits(node: Node, agent: Agent) -> None:
    names = []
    for _ in range(3):
        process = node.start(ADD | {"UNIPAM_CALL": "inherited"})
        give(process)
        call = agent.receive()
        call.answer(0)
        finish(process)
        names.append(call.env["UNIPAM_CALL"])
    assert len(set(names)) == 3
    assert all(len(name) == 32 and int(name, 16) for name in names)


@pytest.mark.parametrize("env", [{}, {"CNI_COMMAND": ""}, {"CNI_COMMAND": "VERSION"}])
def test_without_a_command_and_for_version_stdin_is_left_alone(node: Node, agent: Agent, env: dict[str, str]) -> None:
    process = node.start(env)  # whose stdin stays open, as a terminal's
    call = agent.receive()
    assert call.stdin == b""
    call.answer(0, RESULT)
    assert call.rest() == b"k"
    assert process.stdin
    assert process.wait(PATIENCE) == 0
    assert finish(process) == (0, RESULT, b"")


@pytest.mark.parametrize("command", ["VERSIONS", "version", "ADD", "nonsense"])
def test_for_any_other_command_stdin_is_read(node: Node, agent: Agent, command: str) -> None:
    process = node.start({"CNI_COMMAND": command})
    give(process)
    call = agent.receive()
    assert call.stdin == CONF
    call.answer(0)
    finish(process)


@pytest.mark.parametrize("size", [0, 1, 65_535, 65_536, 70_000, 16 << 20])
def test_stdin_of_any_size_arrives_whole(node: Node, agent: Agent, size: int) -> None:
    stdin = os.urandom(1024) * (size // 1024) + bytes(size % 1024)
    process = node.start()
    give(process, stdin)
    call = agent.receive()
    assert call.stdin == stdin
    call.answer(0)
    assert finish(process) == (0, b"", b"")


def test_more_than_16_mib_of_stdin_are_refused_without_a_call(node: Node, agent: Agent) -> None:
    with (node.directory / "huge").open("w+b") as huge:
        huge.truncate((16 << 20) + 1)
        process = node.start(stdin=huge)
        assert "16 MiB" in error_of(finish(process))
    assert not agent.has_callers()


def test_stdin_that_cannot_be_read_is_an_error(node: Node, agent: Agent) -> None:
    descriptor = os.open(node.directory, os.O_RDONLY)
    try:
        assert error_of(finish(node.start(stdin=descriptor))) == "error reading from stdin: errno 21"
    finally:
        os.close(descriptor)
    assert not agent.has_callers()


def test_a_slow_non_blocking_stdin_is_waited_for(node: Node, agent: Agent) -> None:
    reading, writing = os.pipe()
    os.set_blocking(reading, False)
    process = node.start(stdin=reading)
    os.write(writing, CONF[:10])
    os.write(writing, CONF[10:])
    os.close(writing)
    os.close(reading)
    call = agent.receive()
    assert call.stdin == CONF
    call.answer(0)
    finish(process)


def test_a_large_environment_and_answer_arrive_whole(node: Node, agent: Agent) -> None:
    env = ADD | {f"CNI_X{i}": "x" * 100_000 for i in range(5)}
    out, err = os.urandom(3_000_000), os.urandom(200_000)
    process = node.start(env)
    give(process)
    call = agent.receive()
    assert {key: call.env[key] for key in env} == env
    call.answer(7, out, err)
    assert finish(process) == (7, out, err)
    assert call.rest() == b"k"


def test_an_answer_in_pieces_is_put_together(node: Node, agent: Agent) -> None:
    process = node.start()
    give(process)
    call = agent.receive()
    for byte in struct.pack("<IBI", 5 + len(RESULT), 4, len(RESULT)) + RESULT:
        call.connection.sendall(bytes([byte]))
    assert finish(process) == (4, RESULT, b"")


def test_being_stopped_and_continued_does_not_disturb_a_call(node: Node, agent: Agent) -> None:
    process = node.start()
    give(process)
    call = agent.receive()
    process.send_signal(signal.SIGSTOP)
    os.waitpid(process.pid, os.WUNTRACED)
    process.send_signal(signal.SIGCONT)
    call.answer(0, RESULT)
    assert finish(process) == (0, RESULT, b"")


# ---- the acknowledgement


def test_no_acknowledgement_when_nobody_reads_stdout(node: Node, agent: Agent) -> None:
    reading, writing = os.pipe()
    os.close(reading)
    process = node.start(stdout=writing)
    os.close(writing)
    give(process)
    call = agent.receive()
    call.answer(0, RESULT)
    assert call.rest() == b""
    assert process.wait(PATIENCE) == 1
    finish(process)


def test_no_acknowledgement_when_the_disk_is_full(node: Node, agent: Agent) -> None:
    with Path("/dev/full").open("wb") as full:
        process = node.start(stdout=full)
    give(process)
    call = agent.receive()
    call.answer(0, RESULT)
    assert call.rest() == b""
    finish(process)
    assert process.returncode == 1


def test_no_acknowledgement_from_a_launcher_that_was_killed(node: Node, agent: Agent) -> None:
    process = node.start()
    give(process)
    call = agent.receive()
    process.kill()
    finish(process)
    assert call.rest() == b""


@pytest.mark.parametrize("closed", ["<&-", ">&-", "2>&-", "<&- >&- 2>&-"])
def test_a_closed_standard_descriptor_is_never_taken_by_the_socket(node: Node, agent: Agent, closed: str) -> None:
    script = f'exec "{node.plugin}" {closed}'
    process = subprocess.Popen(["/bin/sh", "-c", script], env={"CNI_COMMAND": "VERSION"}, stdout=subprocess.PIPE)
    call = agent.receive()
    call.answer(0, RESULT, b"to nobody")
    lost = " >&-" in f" {closed}"
    assert call.rest() == (b"" if lost else b"k")
    assert process.communicate(timeout=PATIENCE)[0] == (b"" if lost else RESULT)
    assert process.returncode == (1 if lost else 0)


def test_an_answer_that_cannot_be_acknowledged_is_no_success(node: Node, agent: Agent) -> None:
    """The agent that hung up may have taken the address back: the caller must not use it."""
    process = node.start()
    give(process)
    call = agent.receive()
    out = bytes(1 << 20)  # more than a pipe holds: the launcher is still writing when the agent hangs up
    call.answer(0, out)
    call.connection.shutdown(socket.SHUT_RDWR)
    call.connection.close()
    assert finish(process) == (1, out, b"")


def test_an_answer_without_a_result_needs_no_acknowledgement(node: Node, agent: Agent) -> None:
    """A DEL that was done is done, though the agent ends before it knows that we know."""
    process = node.start()
    give(process)
    call = agent.receive()
    err = bytes(1 << 20)
    call.answer(0, b"", err)
    call.connection.shutdown(socket.SHUT_RDWR)
    call.connection.close()
    assert finish(process) == (0, b"", err)


# ---- without an agent


def assert_cold(node: Node, answer: tuple[int, bytes, bytes], stdin: bytes = CONF) -> None:
    assert answer == (3, b"cold\n", b"")
    assert node.recorded("stdin") == stdin
    assert node.recorded("argv").split(b"\0") == [b"-I", b"-m", b"unipam.cni", os.fsencode(node.plugin), b""]


def test_without_a_socket_it_becomes_the_interpreter(node: Node) -> None:
    env = ADD | {"PATH": "/usr/bin:/bin", "EMPTY": "", "UNIPAM_CALL": "inherited"}
    assert_cold(node, node.run(env=env))
    entries = [entry.decode() for entry in node.recorded_env() if entry]
    calls = [entry for entry in entries if entry.startswith("UNIPAM_CALL=")]
    assert len(calls) == 1
    assert len(calls[0]) == len("UNIPAM_CALL=") + 32
    expected = {f"{key}={value}" for key, value in env.items() if key != "UNIPAM_CALL"}
    assert expected <= set(entries)


@pytest.mark.parametrize("size", [0, 1, 65_536, 16 << 20])
def test_the_interpreter_gets_stdin_of_any_size(node: Node, size: int) -> None:
    stdin = os.urandom(size)
    assert_cold(node, node.run(stdin), stdin)


def test_stdin_that_was_not_read_is_the_interpreters_own(node: Node) -> None:
    assert_cold(node, node.run(b"untouched", env={"CNI_COMMAND": "VERSION"}), b"untouched")


def test_a_socket_that_nobody_listens_on(node: Node) -> None:
    with socket.socket(socket.AF_UNIX) as left_over:
        left_over.bind(str(node.socket))
    assert_cold(node, node.run())


def test_a_socket_whose_backlog_is_full_is_not_waited_for(node: Node) -> None:
    with socket.socket(socket.AF_UNIX) as busy:
        busy.bind(str(node.socket))
        busy.listen(0)
        waiting = socket.socket(socket.AF_UNIX)
        waiting.connect(str(node.socket))
        with waiting:
            assert_cold(node, node.run())


@pytest.mark.parametrize(
    "answer",
    [b"", b"\x05", struct.pack("<IBI", 100, 0, 50) + b"half of", struct.pack("<IBI", 5, 0, 0)[:-1]],
    ids=["nothing", "a byte", "half", "all but a byte"],
)
def test_an_agent_that_dies_in_mid_call(node: Node, agent: Agent, answer: bytes) -> None:
    process = node.start()
    give(process)
    call = agent.receive()
    call.connection.sendall(answer)
    call.connection.shutdown(socket.SHUT_RDWR)
    call.connection.close()
    assert_cold(node, finish(process))
    assert os.fsencode(f"UNIPAM_CALL={call.env['UNIPAM_CALL']}") in node.recorded_env()


@pytest.mark.parametrize(
    "answer", [struct.pack("<IBI", 4, 0, 0), struct.pack("<IBI", 10, 0, 6), struct.pack("<IBI", 2**32 - 1, 0, 0)]
)
def test_an_answer_that_is_none(node: Node, agent: Agent, answer: bytes) -> None:
    process = node.start()
    give(process)
    call = agent.receive()
    call.connection.sendall(answer)
    assert_cold(node, finish(process))
    assert call.rest() == b""


def test_an_agent_that_hangs_up_before_the_question_is_sent(node: Node, agent: Agent) -> None:
    process = node.start()
    give(process, bytes(8 << 20))  # more than the socket buffers
    connection, _ = agent.listener.accept()
    connection.close()
    assert_cold(node, finish(process), bytes(8 << 20))


def test_a_silent_agent_is_waited_for_no_longer_than_4_s(node: Node, agent: Agent) -> None:
    process = node.start()
    give(process)
    call = agent.receive()
    assert_cold(node, finish(process))
    assert call.rest() == b""
    assert os.fsencode(f"UNIPAM_CALL={call.env['UNIPAM_CALL']}") in node.recorded_env()


def test_neither_agent_nor_interpreter(node: Node) -> None:
    node.interpreter.unlink()
    message = error_of(node.run())
    assert f"{node.socket} could not be reached (ENOENT, errno 2)" in message
    assert f"{node.interpreter} could not be started in its place (ENOENT, errno 2)" in message
    assert "unipam cni install" in message
    swallowed_by_runtimes = ("not found", "no such file")
    assert not any(words in message.lower() for words in swallowed_by_runtimes)


def test_an_agent_that_dies_and_an_interpreter_that_may_not_run(node: Node, agent: Agent) -> None:
    node.interpreter.chmod(0o644)
    process = node.start()
    give(process)
    agent.receive().connection.shutdown(socket.SHUT_RDWR)
    message = error_of(finish(process))
    assert "went away before its answer, and" in message
    assert "(EACCES, errno 13)" in message


def test_paths_in_an_error_are_quoted(tmp_path: Path) -> None:
    directory = tmp_path / 'a "b\\c\n\x01é'
    directory.mkdir()
    node = make_node(directory)
    node.interpreter.unlink()
    message = error_of(node.run())
    assert str(node.socket) in message
    assert str(node.interpreter) in message


def test_a_launcher_that_was_copied_but_not_installed_says_so(tmp_path: Path) -> None:
    built = Path(launcher.__file__).with_name("launcher")
    process = subprocess.run([built], env=ADD, stdin=subprocess.DEVNULL, capture_output=True, check=False)
    assert "unipam cni install" in error_of((process.returncode, process.stdout, process.stderr))


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


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Node, Agent]]:
    node = make_node(tmp_path_factory.mktemp("node"))
    agent = Agent(node.socket)
    yield node, agent
    agent.close()


values = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=40)


@settings(deadline=None, max_examples=60)
@given(st.binary(max_size=300), values, st.integers(0, 255), st.binary(max_size=300), st.binary(max_size=100))
def test_whatever_is_asked_and_answered_passes_through_unchanged(
    shared: tuple[Node, Agent], stdin: bytes, value: str, code: int, out: bytes, err: bytes
) -> None:
    node, agent = shared
    process = node.start({"CNI_COMMAND": "ADD", "CNI_ARGS": value})
    give(process, stdin)
    call = agent.receive()
    assert (call.stdin, call.env["CNI_ARGS"]) == (stdin, value)
    call.answer(code, out, err)
    assert call.rest() == b"k"
    assert finish(process) == (code, out, err)
