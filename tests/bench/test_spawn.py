"""The measuring harness: it runs what it says it runs, as often and with what it was told."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from collections.abc import Sequence

BENCH = Path(__file__).parent.parent.parent / "bench"


@pytest.fixture(scope="module")
def spawn() -> Any:
    specification = importlib.util.spec_from_file_location("measured_spawn", BENCH / "spawn.py")
    assert specification
    assert specification.loader
    module = importlib.util.module_from_spec(specification)
    sys.modules[module.__name__] = module  # where dataclasses look for their annotations
    specification.loader.exec_module(module)
    return module


def script(text: str) -> Sequence[str]:
    return ["/bin/sh", "-c", text]


@pytest.mark.parametrize("parallel", [1, 3])
def test_each_run_gets_its_own_number_and_all_of_stdin(spawn: Any, tmp_path: Path, parallel: int) -> None:
    write = script('/bin/cat > "$DIRECTORY/$ID.$FIXED"')
    env = {"DIRECTORY": str(tmp_path), "ID": "a%db%d", "FIXED": "100%"}
    durations = spawn.run(write, env, b"the stdin\0of it", 7, parallel=parallel, offset=10)
    assert len(durations) == 7
    assert min(durations) > 0
    assert {path.name for path in tmp_path.iterdir()} == {f"a{i}b{i}.100%" for i in range(10, 17)}
    assert {path.read_bytes() for path in tmp_path.iterdir()} == {b"the stdin\0of it"}


def test_nothing_is_inherited_and_no_output_is_seen(spawn: Any, capfd: pytest.CaptureFixture[str]) -> None:
    spawn.run(script('echo out; echo err >&2; test -z "$HOME"'), {}, b"", 2)
    assert capfd.readouterr() == ("", "")


def test_the_rate_is_that_of_the_whole(spawn: Any) -> None:
    second = 10**9
    assert spawn.rate([spawn.Run(5 * second, second), spawn.Run(5 * second, 2 * second)]) == 1.0


@pytest.mark.parametrize(
    ("argv", "why"),
    [(["/bin/sh", "-c", "exit 3"], "wait status 768"), (["/no/such/program"], "No such file or directory")],
)
def test_a_run_that_fails_ends_the_measurement(spawn: Any, argv: list[str], why: str) -> None:
    with pytest.raises(spawn.SpawnError, match=why):
        spawn.run(argv, {}, b"", 3)


def test_stdin_that_no_pipe_holds_is_refused(spawn: Any) -> None:
    with pytest.raises(spawn.SpawnError, match="larger than"):
        spawn.run(script("exit 0"), {}, bytes(65_536), 1)


@pytest.mark.real
def test_the_floor_is_a_program_that_does_nothing(spawn: Any) -> None:
    try:
        floor = spawn.floor()
    except spawn.SpawnError as error:
        pytest.skip(str(error))
    assert spawn.run([str(floor)], {}, b"", 2)


def test_works_take_turns_and_rest(spawn: Any, tmp_path: Path) -> None:
    log = tmp_path / "log"
    works = [spawn.Work(script(f'echo {name}$ID >> "{log}"'), {"ID": "%d"}, b"", 5) for name in "ab"]
    measured = spawn.alternately(works, 3, rest=0.2)
    assert [len(each) for each in measured] == [3, 3]
    assert sorted(log.read_text().split()) == ["a5", "a6", "a7", "b5", "b6", "b7"]


def test_a_run_that_fails_in_its_turn_ends_the_measurement(spawn: Any) -> None:
    with pytest.raises(spawn.SpawnError, match="wait status 768"):
        spawn.alternately([spawn.Work(script("exit 0"), {}, b""), spawn.Work(script("exit 3"), {}, b"")], 2, 0.01)
