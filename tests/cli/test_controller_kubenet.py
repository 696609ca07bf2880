"""`unipam controller --kubenet`: what it refuses before it begins."""

from __future__ import annotations

import pytest
from click.testing import CliRunner

from unipam.cli.main import unipam

GROUP = "/subscriptions/s/resourceGroups/g/providers/Microsoft.Network"
TABLE, SUBNET = f"{GROUP}/routeTables/rt", f"{GROUP}/virtualNetworks/v/subnets/nodes"


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ([], "--kubenet needs --route-table"),
        (["--route-table", "rt"], "--route-table 'rt' is no such id: /subscriptions/ID/resourceGroups/GROUP/"),
        (["--route-table", SUBNET], f"--route-table '{SUBNET}' is no such id"),
        (["--route-table", f"{TABLE}/routes/r"], "is no such id"),
        (["--route-table", TABLE, "--node-subnet", "nodes"], "--node-subnet 'nodes' is no such id"),
        (["--route-table", TABLE, "--node-subnet", TABLE], "is no such id"),
        (["--route-table", TABLE.upper(), "--node-subnet", SUBNET.lower()], "Must specify --cluster-cidr"),
    ],
)
def test_an_id_of_something_else_is_refused(given: list[str], said: str) -> None:
    """A subnet in a table's place would be written to; one that is none would hide what the ranges overlap."""
    ended = CliRunner().invoke(unipam, ["controller", "--kubenet", "--listen", "", *given])
    assert ended.exit_code != 0
    assert said in f"{ended.output}{ended.exception}"
