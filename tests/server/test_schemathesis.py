"""Both APIs against their own description: whatever may be sent, the answer is one that is documented, never a 500.

Some of what is sent are lone surrogates (`surrogates`).
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from tests.server.live import serve

SCHEMATHESIS = Path(sys.executable).with_name("st")
ROOT = Path(__file__).parents[2]
LEFT_OUT = "positive_data_acceptance"
"""That a request of the right shape is accepted cannot be asked: a prefix may be taken, a space not be there."""


def test_nothing_is_found_on_either_api(tmp_path: Path) -> None:
    with serve(str(tmp_path / "register.db"), tmp_path, failures=10**6) as live:
        live.admin.post("/spaces", {"name": "0", "desc": "0"})
        live.admin.post("/spaces/0/blocks", {"name": "0", "cidr": "10.0.0.0/16"})
        external = "/spaces/0/blocks/0/externals"
        for path in (external, f"{external}/0/subnets"):
            live.admin.post(path, {"name": "0", "desc": "0", "size": 24})
        live.admin.post(f"{external}/0/subnets/0/endpoints", {"name": "0", "desc": "0", "ip": None})
        command = [
            SCHEMATHESIS, "run", f"http://127.0.0.1:{live.admin.port}/api/openapi.json",
            "-H", f"Authorization: Bearer {live.admin.token}", "--checks", "all", "--exclude-checks", LEFT_OUT,
            "--phases", "examples,coverage,fuzzing", "--max-examples", "4", "--generation-deterministic",
            "--continue-on-failure", "--no-color",
        ]  # fmt: skip
        done = subprocess.run(
            command, cwd=tmp_path, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False,
            env=os.environ | {"SCHEMATHESIS_HOOKS": "tests.server.surrogates", "PYTHONPATH": str(ROOT)},
        )  # fmt: skip
    assert done.returncode == 0, "\n".join(line[:300] for line in done.stdout.splitlines()[:200])
