"""What a refusal means: whether to ask again, and when."""

from __future__ import annotations

import pytest

from unipam.clients.azure.arm import refusal
from unipam.clients.azure.write.verdicts import Kind, judge
from unipam.model.errors import SourceFailed

LINK = "https://management.azure.com/subscriptions/s/providers/Microsoft.Network/locations/westeurope/operations/1"


def refused(status: int, code: str, message: str = "", **headers: str) -> SourceFailed:
    body = f'{{"error": {{"code": "{code}", "message": "{message}"}}}}'.encode()
    return refusal(status, {name.replace("_", "-"): value for name, value in headers.items()}, body, "PUT /x")


@pytest.mark.parametrize(
    ("status", "code", "message", "kind"),
    [
        (403, "AuthorizationFailed", "no right", Kind.PERMANENT),
        (403, "LinkedAuthorizationFailed", "the gallery", Kind.PERMANENT),
        (400, "SubnetIsFull", "full", Kind.PERMANENT),
        (400, "RouteConflict", "Route: a conflicts with Route: b", Kind.PERMANENT),
        (409, "OperationNotAllowed", "exceeding approved Total Regional Cores quota", Kind.PERMANENT),
        (404, "ResourceNotFound", "gone", Kind.PERMANENT),
        (409, "ScopeLocked", "cannot perform write operation because following scope(s) are locked", Kind.PERMANENT),
        (409, "PropertyChangeNotAllowed", "Changing property 'imageReference' is not allowed.", Kind.PERMANENT),
        (409, "ReadOnlyDisabledSubscription", "The subscription is disabled", Kind.PERMANENT),
        (409, "MissingSubscriptionRegistration", "not registered to use namespace", Kind.PERMANENT),
        (409, "ResourceGroupBeingDeleted", "is in deprovisioning state", Kind.PERMANENT),
        (409, "Conflict", "an update is in progress", Kind.BUSY),
        (409, "OperationNotAllowed", "the machine is being updated", Kind.BUSY),
        (429, "RetryableErrorDueToAnotherOperation", "can be retried in 7 seconds", Kind.BUSY),
        (429, "AnotherOperationInProgress", f"see {LINK}", Kind.BUSY),
        (429, "TooManyRequests", "too many", Kind.THROTTLED),
        (429, "OperationNotAllowed", "the server rejected the request: quota of calls", Kind.THROTTLED),
        (412, "PreconditionFailed", "no", Kind.CHANGED),
        (500, "InternalServerError", "oops", Kind.PASSING),
        (503, "", "", Kind.PASSING),
    ],
)
def test_every_refusal_has_its_meaning(status: int, code: str, message: str, kind: Kind) -> None:
    assert judge(refused(status, code, message)).kind is kind


def test_no_answer_may_have_been_one() -> None:
    assert judge(SourceFailed("Azure did not answer", source="azure")).kind is Kind.PASSING


def test_an_operation_that_failed_late_is_judged_by_its_code() -> None:
    assert judge(SourceFailed("it ended badly", source="azure", code="SubnetIsFull")).permanent
    assert not judge(SourceFailed("it ended badly", source="azure", code="Canceled")).permanent


def test_how_long_and_for_what() -> None:
    busy = judge(refused(429, "AnotherOperationInProgress", f"status: {LINK}."))
    assert busy.operation == LINK
    assert judge(refused(429, "RetryableErrorDueToAnotherOperation", "can be retried in 7 seconds")).wait == 7.0
    assert judge(refused(429, "TooManyRequests", "", Retry_After="17")).wait == 17.0
