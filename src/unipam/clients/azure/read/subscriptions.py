"""The subscriptions that an identity may read, and how they are described. Pure, but for naming where to ask.

Source: spec azure-ipam-application §3.2, SUBSCRIPTION.
"""

from __future__ import annotations

from collections.abc import Iterable

import msgspec

from unipam.clients.azure.read.queries import GroupRow
from unipam.model.cloud import Subscription

PATH, VERSION = "/subscriptions", "2022-12-01"

KINDS = {
    "EnterpriseAgreement": "Enterprise Agreement",
    "Internal": "Microsoft Internal",
    "MSDN": "PAYGO",
    "MSDNDevTest": "Dev/Test",
    "PayAsYouGo": "PAYGO",
}
"""What the beginning of a quota's id says; else "Unknown"."""


class Policies(msgspec.Struct, rename="camel"):
    """A subscription's offer."""

    quota_id: str = ""


class SubscriptionRow(msgspec.Struct):
    """A subscription as the Resource Manager lists it."""

    id: str = msgspec.field(name="subscriptionId")
    name: str = msgspec.field(default="", name="displayName")
    tenant: str = msgspec.field(default="", name="tenantId")
    state: str = ""
    policies: Policies | None = msgspec.field(default=None, name="subscriptionPolicies")

    @property
    def readable(self) -> bool:
        """Return whether there is still anything in it."""
        return self.state.lower() != "deleted"


def subscriptions(rows: Iterable[SubscriptionRow], groups: Iterable[GroupRow]) -> list[Subscription]:
    """Return the subscriptions, with the management group of each where that is known."""
    by_id = {group.subscription.lower(): group for group in groups}
    return [_subscription(row, by_id.get(row.id.lower())) for row in rows]


def _subscription(row: SubscriptionRow, group: GroupRow | None) -> Subscription:
    quota = row.policies.quota_id if row.policies else ""
    kind = KINDS.get(quota.partition("_")[0], "Unknown")
    parent = (group.management_group, group.management_group_name) if group else (None, None)
    return Subscription(row.id, row.name, row.tenant, kind, *parent)
