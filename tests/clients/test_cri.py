"""The CRI client against servers that answer wrongly, late or not at all; the real containerd is met in tests/real."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.real.cri import encode

from unipam.clients.cri import Sandbox, read_list, sandboxes
from unipam.model.errors import SourceFailed

grpc = pytest.importorskip("grpc", reason="grpcio (the extra `cri`) is missing")

Answer = Callable[[bytes], bytes]


@pytest.fixture
def serve(tmp_path: Path) -> Iterator[Callable[[Answer], str]]:
    """Start a runtime that answers ListPodSandbox so; gives its socket."""
    servers = []

    def start(answer: Answer) -> str:
        handler = grpc.unary_unary_rpc_method_handler(lambda request, context: answer(request))
        server = grpc.server(ThreadPoolExecutor(2))
        server.add_registered_method_handlers("runtime.v1.RuntimeService", {"ListPodSandbox": handler})
        socket = str(tmp_path / "runtime.sock")
        server.add_insecure_port(f"unix:{socket}")
        server.start()
        servers.append(server)
        return socket

    yield start
    for server in servers:
        server.stop(None).wait()


def item(sandbox: Sandbox) -> bytes:
    metadata = encode((1, sandbox.name), (2, sandbox.uid), (3, sandbox.namespace), (4, 7))
    state = () if sandbox.ready else ((3, 1),)  # proto3 leaves zeros out
    return encode((1, sandbox.id), (2, metadata), *state, (4, int(sandbox.created) * 10**9), (5, encode((1, "k"))))


words = st.text(max_size=200)
created = st.integers(0, 9_000_000_000).map(float)


@given(st.lists(st.builds(Sandbox, words, words, words, words, st.booleans(), created)))
def test_what_is_encoded_is_read(expected: list[Sandbox]) -> None:
    assert read_list(encode(*((1, item(each)) for each in expected))) == expected


@given(st.binary())
def test_any_bytes_are_a_list_or_a_value_error(data: bytes) -> None:
    try:
        read_list(data)
    except ValueError:
        return


@pytest.mark.parametrize("cut", range(1, 20))
def test_a_truncated_list_is_no_list(cut: int) -> None:
    whole = encode((1, item(Sandbox("a" * 64, "pod", "ns", "uid", ready=True))))
    with pytest.raises(ValueError, match="it ends in the middle"):
        read_list(whole[:-cut])


def test_asks_the_socket(serve: Callable[[Answer], str]) -> None:
    there = [Sandbox("id1", "web", "shop", "u-1", ready=True), Sandbox("id2", "db", "shop", "u-2", ready=False)]
    assert sandboxes(serve(lambda _: encode(*((1, item(each)) for each in there))), 10) == there


def test_an_answer_of_ten_megabytes_is_taken(serve: Callable[[Answer], str]) -> None:
    one = item(Sandbox("i" * 1_000_000, "n", "s", "u", ready=True))
    assert len(sandboxes(serve(lambda _: encode(*((1, one),) * 10)), 30)) == 10


def test_nobody_there_is_said(tmp_path: Path) -> None:
    with pytest.raises(SourceFailed, match=r"at .*/none\.sock could not be asked.*UNAVAILABLE"):
        sandboxes(str(tmp_path / "none.sock"), 10)


def test_nonsense_is_said(serve: Callable[[Answer], str]) -> None:
    with pytest.raises(SourceFailed, match="its answer is not a list of sandboxes"):
        sandboxes(serve(lambda _: b"\xff\xff"), 10)


def test_silence_ends_with_the_timeout(serve: Callable[[Answer], str]) -> None:
    done = threading.Event()

    def silent(_: bytes) -> bytes:
        done.wait()
        return b""

    try:
        with pytest.raises(SourceFailed, match="DEADLINE_EXCEEDED"):
            sandboxes(serve(silent), 0.1)
    finally:
        done.set()


def test_a_failing_runtime_is_quoted(serve: Callable[[Answer], str]) -> None:
    def broken(_: bytes) -> bytes:
        raise RuntimeError("disk on fire")

    with pytest.raises(SourceFailed, match="disk on fire"):
        sandboxes(serve(broken), 10)
