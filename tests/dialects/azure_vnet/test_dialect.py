"""Every error has a code and words, and results say what the original's say."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from unipam.addr.prefix import parse_address, parse_prefix
from unipam.cni.plugin import code_of
from unipam.dialects.azure_vnet import config, dialect
from unipam.ledger.learned import LearnedPool
from unipam.model.errors import Exhausted, IsGateway, Missing, Refused, StoreBusy, Taken, UnipamError, Unmet


def tree(kind: type[UnipamError]) -> Iterator[type[UnipamError]]:
    yield kind
    for below in kind.__subclasses__():
        yield from tree(below)


@pytest.mark.parametrize("kind", list(tree(UnipamError)))
def test_every_error_has_a_code_and_words(kind: type[UnipamError]) -> None:
    assert code_of(kind("why"), dialect.CODES) in {5, 11, 100}
    assert dialect.word(kind("why")) == "why"


def test_what_may_pass_is_to_be_tried_again() -> None:
    assert code_of(StoreBusy("x"), dialect.CODES) == 11


@pytest.mark.parametrize(
    ("kind", "words"),
    [
        (Exhausted, "No available addresses"),
        (Taken, "Address already in use"),
        (Unmet, "Address not found"),
        (IsGateway, "Address not found"),
        (Missing, "as it was said"),
    ],
)
def test_the_step_stands_before_the_originals_words(kind: type[Refused], words: str) -> None:
    error = dialect.during(dialect.ALLOCATE_ADDRESS, kind("as it was said", details="more"))
    assert (type(error), error.message) == (kind, f"Failed to allocate address: {words}")
    assert error.facts == {"details": "more"}


def pool(network: str, gateway: str | None) -> LearnedPool:
    return LearnedPool(parse_prefix(network), parse_address(gateway) if gateway else None, "", 0, ())


@pytest.mark.parametrize(
    ("network", "gateway", "strict", "shown", "route"),
    [
        ("10.224.0.0/16", "10.224.0.1", False, "10.224.0.9/16", {"dst": "0.0.0.0/0", "gw": "10.224.0.1"}),
        ("fd00::/64", "fd00::1", False, "fd00::9/64", {"dst": "::/0", "gw": "fd00::1"}),
        ("fd00::/64", "fd00::1", True, "fd00::9/64", {"dst": "0.0.0.0/0", "gw": "fd00::1"}),
        ("10.0.0.9/32", None, False, "10.0.0.9/32", {"dst": "0.0.0.0/0"}),
    ],
)
def test_addresses_and_routes(
    network: str, gateway: str | None, strict: bool, shown: str, route: dict[str, object]
) -> None:
    found = pool(network, gateway)
    address = parse_address(shown.partition("/")[0])
    assert dialect.shown(address, found) == (address, shown, gateway)
    asked = config.load({"name": "n", "ipam": {"strict": strict}}, "azure-vnet-ipam")
    assert dialect.routes(asked, found) == (route,)
