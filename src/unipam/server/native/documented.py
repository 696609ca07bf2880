"""Shapes of answers whose home is a record: what the API's documentation tells of them is made of the record itself."""

from __future__ import annotations

from typing import Any, ForwardRef, get_type_hints

from pydantic import BaseModel, create_model

from unipam.ledger.explanation import Explanation
from unipam.ledger.reads import Lease, Past, PoolUse
from unipam.model.cloud import Endpoint, Subscription
from unipam.plan.branches import Branch
from unipam.plan.cloud.standing import Spot, Standing
from unipam.plan.listing import Row
from unipam.plan.search import Answer, Group
from unipam.server.native import models as m


def documented(record: type, *inner: type[BaseModel]) -> type[BaseModel]:
    """Return a record's shape as JSON; `inner` are the shapes of records that it holds, by their names."""
    known: dict[str, Any] = {record.__name__: ForwardRef(record.__name__), **{each.__name__: each for each in inner}}
    fields: dict[str, Any] = {name: (kind, ...) for name, kind in get_type_hints(record, localns=known).items()}
    made: type[BaseModel] = create_model(record.__name__, __doc__=record.__doc__, **fields)
    return made


def page_of(record: type, *inner: type[BaseModel]) -> Any:
    """Return the shape of part of a listing of records."""
    return m.Page[documented(record, *inner)]  # type: ignore[misc]  # made at run time


OBJECTS, BRANCHES, STANDINGS = page_of(Row), page_of(Branch), page_of(Standing, documented(Spot))
ENDPOINTS, SUBSCRIPTIONS, LEASES, POOLS = map(page_of, (Endpoint, Subscription, Lease, PoolUse))
FOUND = documented(Answer, documented(Group, documented(Row)))
LEASE = documented(Lease)
EXPLANATION = documented(Explanation, documented(Lease), documented(Past))
