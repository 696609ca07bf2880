"""What is known by their shape comes to the same as what is judged in full: every report, with and without it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import msgspec
import pytest
from bench.diagnose import LOGS, Log, write
from hypothesis import example, given
from hypothesis import strategies as st
from tests.diagnose import churn
from tests.diagnose.test_corpus import AZURE_WRAPPINGS, ELSEWHERE, PLUGIN_WRAPPINGS, said

from unipam.diagnose import diagnose, diagnose_bytes
from unipam.diagnose.logs.line_filter import TELLING, LineFilter
from unipam.diagnose.logs.shapes import ENOUGH, HEAD, Shapes
from unipam.diagnose.report import Report
from unipam.diagnose.words import words_of

ALIKE = 3 * ENOUGH
"""So many lines of one shape that some are known by their shape."""


def judged(diagnosed: Callable[[], Report]) -> Report:
    """The report when nothing is known by their shape."""

    def pass_over(_: LineFilter, lines: Iterator[bytes], number: int) -> tuple[bytes | None, int]:
        return next(lines, None), number

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(LineFilter, "pass_over", pass_over)
        patch.setattr(Shapes, "is_due", lambda *_: False)
        return diagnosed()


def assert_same(diagnosed: Callable[[], Report]) -> None:
    expected, got = (msgspec.to_builtins(report) for report in (judged(diagnosed), diagnosed()))
    assert got == expected


@pytest.mark.parametrize("directory", ["field", "field2", "azure-vnet-ipam"])
def test_captured_inputs(shared: Path, directory: str) -> None:
    for path in sorted((shared / "fixtures" / directory).iterdir()):
        assert_same(lambda path=path: diagnose([path]))  # type: ignore[misc]


@pytest.mark.parametrize("variant", churn.VARIANTS)
def test_a_year_of_churn(tmp_path: Path, variant: str) -> None:
    churn.VARIANTS[variant](tmp_path)
    assert_same(lambda: diagnose([tmp_path]))


@pytest.mark.parametrize("log", LOGS, ids=lambda log: log.file)
def test_a_nodes_logs(tmp_path: Path, log: Log) -> None:
    path = tmp_path / log.file
    write(path, log.lines(), 1_500_000)
    assert_same(lambda: diagnose([path]))


def wrapped(wrap: Callable[[str], str], group: str) -> bytes:
    return "".join(f"{wrap(text)}\n" * ALIKE for _, text in said(group)).encode()


@pytest.mark.parametrize("wrapping", PLUGIN_WRAPPINGS)
def test_every_message_of_a_plugin(wrapping: str) -> None:
    assert_same(lambda: diagnose_bytes(wrapped(PLUGIN_WRAPPINGS[wrapping], "plugin")))


@pytest.mark.parametrize("wrapping", AZURE_WRAPPINGS)
def test_every_message_of_azure(wrapping: str) -> None:
    assert_same(lambda: diagnose_bytes(wrapped(lambda text: AZURE_WRAPPINGS[wrapping]("BadRequest", text), "azure")))


@pytest.mark.parametrize("place", ELSEWHERE)
@pytest.mark.parametrize("group", ["plugin", "azure", "codes"])
def test_every_message_elsewhere(place: str, group: str) -> None:
    assert_same(lambda: diagnose_bytes(wrapped(ELSEWHERE[place], group)))


def test_every_line_of_a_log() -> None:
    assert_same(lambda: diagnose_bytes(wrapped(str, "logs")))


HEALTHY = (
    'Mar  1 18:20:18 node-1 kubelet[2775]: I0301 18:20:18.668339    2775 x.go:2465] "Request done" pod="shop/web-{n}" '
    'status=200 peer="10.0.0.{n}:8080" name="{name}"'
)


@pytest.mark.parametrize(
    "line",
    [
        HEALTHY.replace("status=200", "StatusCode=429"),
        HEALTHY.replace("10.0.0.{n}:8080", "127.0.0.1:10090").replace("Request done", "connection refused"),
        HEALTHY.replace("shop/web-{n}", "kube-system/azure-cns-x7k2p").replace("Request done", "Back-off Error"),
        HEALTHY.replace("name=", "code=0x803b002f name="),
        HEALTHY.replace("I0301", "E0301"),
        HEALTHY.replace("name=", "reason=SubnetIsFull name="),
        HEALTHY.replace("x.go:2465] ", "x.go:2465] range is full: "),
        HEALTHY[:-12],
    ],
)
def test_a_line_that_differs_only_in_what_matters_is_judged(line: str) -> None:
    usual = "".join(HEALTHY.format(n=n, name=f"api-{n}") + "\n" for n in range(10, 10 + ALIKE))
    assert_same(lambda: diagnose_bytes(f"{usual}{line.format(n=7, name='api-7')}\n{usual}".encode() * 2))


def test_a_status_is_judged_though_the_same_number_is_a_line_of_source() -> None:
    line = HEALTHY.replace("x.go:2465", "azure.go:429").replace("status=", "StatusCode=")
    usual = "".join(line.format(n=n, name=f"api-{n}") + "\n" for n in range(10, 10 + ALIKE))
    throttled = line.replace("StatusCode=200", "StatusCode=429").format(n=7, name="azure")
    assert_same(lambda: diagnose_bytes(f"{usual}{throttled}\n{usual}".encode() * 2))


def find(shapes: Shapes[str], line: bytes) -> str | None:
    for match, verdict in shapes.by_head.get(line[:HEAD], ()):
        if (found := match(line)) is not None and shapes.knows(found.groups()):
            return verdict
    return None


WORDS = frozenset({b"pool", b"429", b"sandbox", b"full"})
TOKENS = st.sampled_from(
    ["pool", "Pool", "429", "200", "sandbox", "web-1", "pool-2", "cafe", "10.0.0.429", "10.0.0.7", "a" * 32,
     "2025-03-01T18:20:18.429Z", "18:20:18", "x429", "429x", "full", "done", "0x1f", "my_pool", "my_pod-1", "T429"]
)  # fmt: skip


@given(st.lists(TOKENS, min_size=1, max_size=6), st.lists(TOKENS, min_size=1, max_size=6))
@example(["2025-03-01T18:20:18.429Z"], ["429"])
@example(["18:20:18"], ["10.0.0.429"])
def test_lines_of_a_shape_have_the_same_words_that_matter(one: list[str], other: list[str]) -> None:
    head = "msg: " + "-" * HEAD
    first, second = ((head + " ".join(tokens)).encode() for tokens in (one, other))
    shapes = Shapes[str](WORDS, ("pool is full",))
    shapes.learn(first[:HEAD], first, (0, 0), "judged")
    assert find(shapes, first) in {"judged", None}
    if find(shapes, second) == "judged":
        times = ("2025-03-01T18:20:18.429Z",)
        told = [words_of(" ".join(each for each in tokens if each not in times).encode()) for tokens in (one, other)]
        assert WORDS.intersection(told[0]) == WORDS.intersection(told[1])


def test_no_word_that_matters_is_made_of_an_ids_letters_but_numbers() -> None:
    """Were there others, lines of a shape might hold them where the judged line had none."""
    assert {word for word in TELLING if set(word) <= set(b"0123456789abcdef")} == {b"429", b"10090"}
