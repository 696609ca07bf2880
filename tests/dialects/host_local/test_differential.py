"""host-local and we, side by side: the same random calls, the same answers, but for the differences that have a name.

`UNIPAM_LIVES` is how many sequences are run, `UNIPAM_SEED` the number of the first (`tests/seed.py`). The path of a
host-local of plugins 1.10.0, to compare with it besides the installed 1.1.1, is `UNIPAM_HOST_LOCAL`.
"""

from __future__ import annotations

import os
import re
import shutil
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from tests.conftest import Plugin, environment
from tests.dialects.host_local.differences import LEVELLED, RULES
from tests.dialects.host_local.peers import Comparison, Peer
from tests.seed import FIRST_SEED

from unipam.dialects.host_local.config import DATA_DIR

INSTALLED = Path("/usr/lib/cni/host-local")
NAMED = os.environ.get("UNIPAM_HOST_LOCAL", "")
LIVES = int(os.environ.get("UNIPAM_LIVES", "1000"))
BATCH = 100
DOCS = Path(__file__).parents[3] / "docs" / "host-local.md"


@pytest.fixture(params=["installed", pytest.param("named", marks=pytest.mark.brought)])
def real(request: pytest.FixtureRequest) -> Plugin:
    if request.param == "named":
        if not NAMED:
            pytest.skip("UNIPAM_HOST_LOCAL names no host-local of plugins 1.10.0")
        return Plugin(Path(NAMED))
    if not INSTALLED.exists():
        pytest.skip("needs the Debian package containernetworking-plugins")
    return Plugin(INSTALLED)


def is_old(real: Plugin) -> bool:
    return "1.1.0" not in real.run(b"", environment("VERSION")).result["supportedVersions"]


def compare(real: Plugin, ours: Plugin, directory: Path, seeds: range) -> Comparison:
    """One batch in a directory of its own."""
    directory.mkdir()
    comparison = Comparison(Peer(real, directory / "theirs", is_old(real)), ours, directory / "ours")
    for seed in seeds:
        comparison.live(seed)
    shutil.rmtree(directory)
    return comparison


@pytest.mark.real
def test_random_lives_are_answered_as_host_local_answers_them(
    real: Plugin, warm: Plugin, tmp_path: Path, record_property: Callable[[str, object], None]
) -> None:
    end = FIRST_SEED + LIVES
    batches = [range(at, min(at + BATCH, end)) for at in range(FIRST_SEED, end, BATCH)]
    with ThreadPoolExecutor(2) as pool:
        done = list(pool.map(lambda seeds: compare(real, warm, tmp_path / str(seeds.start), seeds), batches))
    counts = sum((each.counts for each in done), Counter[str]())
    record_property("sequences", f"{LIVES} from {FIRST_SEED}: {dict(sorted(counts.items()))}")
    differences = [difference for each in done for difference in each.differences]
    assert not differences, f"{len(differences)} differences; the first:\n" + "\n".join(differences[:5])
    assert counts["ADD ok"] > LIVES
    assert not list(Path(DATA_DIR).glob("n*-[0-9]")), "a life strayed into the default data directory"
    if LIVES >= 2000:
        concerned = [rule.name for rule in RULES if rule.concerns(is_old(real))]
        never = [name for name in concerned if not counts[f"rule {name}"]]
        assert not never, f"{never} allow what does not happen: remove them"


@pytest.mark.parametrize("name", [*(rule.name for rule in RULES), *(name for name, _ in LEVELLED)])
def test_every_difference_is_documented(name: str) -> None:
    assert re.search(rf"^### `{name}`", DOCS.read_text(), re.MULTILINE), f"docs/host-local.md has no section `{name}`"
