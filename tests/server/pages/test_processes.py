"""The pages of several server processes on one PostgreSQL, which a proxy makes one register of."""

from __future__ import annotations

import signal
from collections.abc import Callable

from tests.real.postgres import needs_postgres, shared
from tests.server.pages.visitor import Visitor
from tests.server.process import Process


def at(visitor: Visitor, port: int) -> Visitor:
    """The same browser, sent to another process: without TLS the name of its cookie has the port in it."""
    other = Visitor(port)
    other.cookies = {f"unipam-{port}": key for key in visitor.cookies.values()}
    return other


@needs_postgres
def test_a_session_is_known_to_every_process_and_outlives_each(start: Callable[[str], Process]) -> None:
    database = shared().create()
    one, two = start(database), start(database)
    here = Visitor(one.port)
    assert here.sign_in(one.client.token, "/status").heading == "Status"
    assert "PostgreSQL" in here.get("/status").words
    there = at(here, two.port)
    assert there.get("/journal").heading == "Journal"
    page = here.get("/me")
    fields = page.fields("/me") | {"theme": "dark"}
    assert there.post("/me", fields).heading == "Me", "a form of one is good for the other"
    assert 'data-theme="dark"' in here.get("/me").text
    one.end(signal.SIGKILL)
    assert there.get("/status").heading == "Status"
    again = start(database)
    back = at(here, again.port)
    assert back.get("/status").heading == "Status"
    assert there.send(there.get("/status"), "/auth/sign-out").heading == "Sign in"
    assert back.get("/status").heading == "Sign in", "and what one ends is over for all"
