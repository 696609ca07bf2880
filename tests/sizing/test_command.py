"""`unipam sizing` as a user meets it: real files, real output, exit codes."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import yaml
from click.testing import CliRunner, Result
from tests.conftest import items

from unipam.cli.sizing import command

DOCUMENT = """
name: shop
variant: node-subnet
pools:
  - {name: system, nodes: 50, max_pods: 30, max_surge: 1}
what_if: [10]
"""


def run(*arguments: str, stdin: str | bytes | None = None) -> Result:
    result = CliRunner().invoke(command, arguments, input=stdin)
    assert result.exception is None or isinstance(result.exception, SystemExit)
    assert "Traceback" not in result.output
    return result


@pytest.fixture
def described(tmp_path: Path) -> Path:
    path = tmp_path / "cluster.yaml"
    path.write_text(DOCUMENT)
    return path


def test_a_plan_as_json(described: Path) -> None:
    result = run(str(described), "-o", "json")
    plan = json.loads(result.output)
    assert result.exit_code == 0
    assert (plan["works"], plan["nodes"], plan["peak_nodes"], plan["pods"]) == (True, 50, 51, 1500)
    (need,) = plan["needs"]
    assert (need["name"], need["addresses"], need["prefix"]) == ("nodes", 1581, 21)
    assert plan["first_limit"]["nodes"] == 64
    assert plan["what_if"][0]["needs"]["nodes"] == {"units": 1891, "prefix": 21}


def test_yaml_says_the_same_as_json(described: Path) -> None:
    as_yaml, as_json = (run(str(described), "-o", kind).output for kind in ("yaml", "json"))
    assert yaml.safe_load(as_yaml) == json.loads(as_json)


def test_a_plan_as_tables(described: Path) -> None:
    result = run(str(described), "--free", "10.0.0.0/16", "--service-cidr", "192.168.0.0/24")
    assert result.exit_code == 0
    assert result.output.startswith("shop (node-subnet) works: 50 nodes, 51 at the peak, up to 1,500 pods")
    for title in (
        "Needed",
        "At other moments",
        "Where it fits",
        "Limits, the",
        "What if",
        "May not overlap",
        "Findings",
    ):
        assert title in result.output
    assert "10.0.0.0/21" in result.output


def test_a_plan_that_does_not_work(described: Path) -> None:
    result = run(str(described), "--subnet", "nodes=10.1.0.0/24")
    assert result.exit_code == 1
    assert "does not work" in result.output
    assert "10.1.0.0/24 holds 251 addresses" in result.output


def test_options_alone() -> None:
    pools = ["--pool", "system,nodes=3,max_surge=1", "--pool", "user,min=1,max=50,max_surge=33%,zones=1/2"]
    result = run("--variant", "overlay", *pools, "--growth", "100%", "--what-if", "5", "--what-if", "50%", "-o", "json")
    plan = json.loads(result.output)
    assert (plan["nodes"], plan["peak_nodes"]) == (106, 6 + 1 + 100 + 33)
    assert [each["growth"] for each in plan["what_if"]] == ["5", "50%"]


def test_options_stand_over_the_file(tmp_path: Path) -> None:
    path = tmp_path / "cluster.json"
    networks = {"vnet": "10.9.0.0/16", "pod_cidr": "10.244.0.0/16"}
    pools = [{"name": "system", "nodes": 3}]
    path.write_text(json.dumps({"variant": "kubenet", "pools": pools, "networks": networks}, indent="\t"))
    options = [
        "--variant",
        "overlay",
        "--pod-cidr",
        "10.128.0.0/16",
        "--peered",
        "10.8.0.0/16",
        "--on-premises",
        "10.7.0.0/16",
    ]
    plan = json.loads(run(str(path), *options, "-o", "json").output)
    assert plan["variant"] == "overlay"
    known = {each for row in plan["may_not_overlap"] for each in row["known"]}
    assert {"network 10.9.0.0/16", "peered network 10.8.0.0/16", "on-premises network 10.7.0.0/16"} <= known
    assert plan["needs"][1]["exists"] == "10.128.0.0/16"


def test_free_blocks_by_option() -> None:
    options = ["--free", "10.20.0.0/24,10.20.0.0/28", "--free-range", "100.64.0.0/10,100.64.0.0/16"]
    plan = json.loads(run("--variant", "overlay", "--pool", "system,nodes=3", *options, "-o", "json").output)
    places = {each["name"]: each["prefix"] for each in plan["placements"]}
    assert places == {"service-cidr": "100.65.0.0/16", "pod-cidr": "100.66.0.0/22", "nodes": "10.20.0.16/28"}


def test_standard_input() -> None:
    assert run("-", stdin=DOCUMENT).exit_code == 0


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        ("", "document: None is not a mapping"),
        ("3", "document: 3 is not a mapping"),
        ("{}", "variant: is missing: choose kubenet"),
        ("[1", "cannot be read as JSON or YAML"),
        ('{"variant": "overlay", "variant": "byo"}', "the field 'variant' is given twice"),
        ("variant: overlay\nvariant: byo\n", "the field 'variant' is given twice"),
        ("a: &a [*a]", "variant: is missing"),
        ("variant: &a [*a]", "...]]]]"),
        ("? [a]\n: 1", "cannot be read as JSON or YAML"),
        ("!!python/object/apply:os.system [id]", "cannot be read as JSON or YAML"),
        ("2020-13-45", "cannot be read as JSON or YAML"),
        ("[" * 100_000, "cannot be read as JSON or YAML"),
        ("- " * 50_000, "cannot be read as JSON or YAML"),
        ("variant: " + "9" * 5_000, "cannot be read as JSON or YAML"),
        ("variant: 0x" + "f" * 5_000, "variant: an integer of 20000 bits is unknown"),
        (b"\xff\xfe\x00", "not UTF-8 text"),
        (b"#" * (1 << 20 | 1), "larger than 1048576 bytes"),
    ],
    ids=lambda value: repr(value[:24]),
)
def test_bad_files(content: str | bytes, expected: str) -> None:
    result = run("-", stdin=content)
    assert result.exit_code == 2
    assert expected in result.output


def test_files_that_are_not_there(tmp_path: Path) -> None:
    for path in (tmp_path, tmp_path / "missing"):
        result = run(str(path))
        assert result.exit_code == 2
        assert str(path) in result.output


@pytest.mark.parametrize(
    "arguments",
    [
        ["--variant", "overlay", "--pool", "system,nodes"],
        ["--variant", "overlay", "--pool", "system,nodes=3", "--subnet", "10.0.0.0/24"],
        ["--variant", "overlay", "--pool", "system,nodes=99999999999"],
        ["--variant", "overlay", "--pool", ""],
        ["--variant", "overlay", "--pool", "system,nodes=3,zones=a"],
        ["--variant", "overlay", "--pool", "system,nodes=3", "--what-if", "x"],
        ["-o", "xml"],
        [],
    ],
)
def test_bad_options(arguments: list[str]) -> None:
    assert run(*arguments).exit_code == 2


def test_every_problem_has_a_line_of_its_own() -> None:
    result = run("--variant", "overlay", "--pool", "System,nodes=0", "--growth", "x")
    assert result.exit_code == 2
    assert [line.split(":")[0] for line in result.output.splitlines()[1:]] == [
        "  growth",
        "  pools[0].name",
        "  pools[0].nodes",
    ]


def test_the_limits_with_their_sources() -> None:
    rows = items(run("--limits", "-o", "json").output)
    assert {(row["rule"], row["value"]) for row in rows} >= {("L1", 65_536), ("L5", 400), ("L6", 5_000), ("M3", 250)}
    assert all(row["source"] for row in rows)
    assert "azure-virtual-network-limits" in run("--limits").output


def test_help_has_examples_and_exit_codes() -> None:
    output = run("--help").output
    assert "unipam sizing cluster.yaml" in output
    assert "Exit codes" in output
