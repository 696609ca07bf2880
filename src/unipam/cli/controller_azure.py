"""Which Azure the controllers ask, and as whom."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from unipam.clients.azure.settings import Settings


def settings(given: Mapping[str, Any]) -> Settings:
    """Return what the environment says; where that names no cloud, it is the machine's own. Raises BadConfig."""
    from unipam.clients.azure import imds
    from unipam.clients.azure.settings import VARIABLES, from_environment

    told = from_environment(os.environ, client=given["azure_user_assigned_identity_id"])
    if told.endpoint or os.environ.get(VARIABLES["environment"]):
        return told
    return told._replace(environment=imds.environment())
