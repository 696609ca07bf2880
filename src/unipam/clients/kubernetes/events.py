"""Events: what whoever describes an object is told of it."""

from __future__ import annotations

from datetime import UTC, datetime

from unipam.clients.kubernetes.api import KubernetesApi, Object

PATH = "/api/v1/namespaces/default/events"
"""Where events are about objects that are in no namespace."""


def post(  # noqa: PLR0913 (keywords, each a matter of its own)
    api: KubernetesApi,
    about: Object,
    *,
    component: str,
    reason: str,
    message: str,
    warning: bool,
    now: float,
    deadline: float,
) -> None:
    """Tell of an object; `about` is its apiVersion, kind, name and uid, `now` in seconds since the epoch.

    Raises Refusal, SourceFailed.
    """
    moment = datetime.fromtimestamp(now, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    document = {
        "apiVersion": "v1",
        "kind": "Event",
        "metadata": {"name": f"{about['name']}.{int(now * 1e9):x}", "namespace": "default"},
        "involvedObject": about,
        "source": {"component": component},
        "reason": reason,
        "message": message[:1024],
        "type": "Warning" if warning else "Normal",
        "firstTimestamp": moment,
        "lastTimestamp": moment,
        "count": 1,
    }
    api.create(PATH, document, deadline)
