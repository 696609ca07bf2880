"""etcd's messages, beyond what a real server says in `tests/faults` and the datastore's contract."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from unipam.clients.etcd.client import watched
from unipam.clients.etcd.messages import read_range, read_transaction, read_watch
from unipam.clients.etcd.settings import Settings, Tls, addresses
from unipam.clients.protobuf import field
from unipam.model.errors import BadValue, Expired, SourceFailed


def header(revision: int) -> bytes:
    return field(1, field(3, revision))


def test_a_watch_tells_what_is_forgotten() -> None:
    message = header(90) + field(4, 1) + field(5, 80)
    with pytest.raises(Expired, match=r"after revision 7 is forgotten \(known from 80\)"):
        list(watched([message], 7, "etcd"))


def test_a_watch_tells_why_it_was_cancelled() -> None:
    with pytest.raises(SourceFailed, match="permission denied"):
        list(watched([header(9) + field(4, 1) + field(6, "permission denied")], 7, "etcd"))


def test_a_watch_tells_how_far_it_is_where_nothing_happens() -> None:
    (progress,) = watched([header(9) + field(3, 1), header(12)], 7, "etcd")
    assert (progress.revision, progress.changes) == (12, ())


@given(st.binary())
def test_any_bytes_are_a_message_or_a_value_error(data: bytes) -> None:
    for read in (read_range, read_transaction, read_watch):
        try:
            read(data)
        except ValueError:
            continue


def test_endpoints_are_urls_or_hosts() -> None:
    given = ("https://a.example:1", "http://10.0.0.1", "[fd00::1]:5", "http://[fd00::2]:6")
    assert addresses(given) == (
        ("a.example:1", True), ("10.0.0.1:2379", False), ("[fd00::1]:5", False), ("[fd00::2]:6", False),
    )  # fmt: skip


@pytest.mark.parametrize("endpoint", ["", "ftp://a", "http://", "http://a:b", "unix:///x"])
def test_what_is_no_endpoint_is_refused_by_name(endpoint: str) -> None:
    with pytest.raises(BadValue, match="is not an etcd endpoint") as caught:
        addresses((endpoint,))
    assert caught.value.facts == {"field": "endpoints", "value": endpoint}
    with pytest.raises(BadValue, match="no etcd endpoint"):
        addresses(())


def test_a_certificate_that_cannot_be_read_is_named() -> None:
    assert Tls.read() == Tls()
    with pytest.raises(BadValue, match=r"cannot read /no/such/ca\.pem: No such file"):
        Tls.read("/no/such/ca.pem")


def test_settings_need_endpoints_only() -> None:
    assert Settings(("http://a",)) == Settings(("http://a",), Tls(), "", "")
