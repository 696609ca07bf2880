"""The instance metadata service: what a machine of Azure is told of itself (spec cilium §1.2)."""

from __future__ import annotations

import http.client

from unipam.clients.azure.settings import PUBLIC
from unipam.model.errors import BadConfig, SourceFailed

ADDRESS = "169.254.169.254"
VERSION = "2019-06-01"
_WITHIN = 10.0
_CLOUDS = {"azurepubliccloud": PUBLIC, "azureusgovernmentcloud": "AZURE_US_GOV", "azurechinacloud": "AZURE_CHINA"}


def read(field: str, address: str = ADDRESS) -> str:
    """Return `subscriptionId`, `resourceGroupName` or another field of the machine's `compute`. Raises SourceFailed."""
    path = f"/metadata/instance/compute/{field}?api-version={VERSION}&format=text"
    connection = http.client.HTTPConnection(address, timeout=_WITHIN)
    try:
        connection.request("GET", path, headers={"Metadata": "true"})
        answer = connection.getresponse()
        text = answer.read().decode("utf-8", "replace").strip()
    except (OSError, http.client.HTTPException) as error:
        raise SourceFailed(f"the metadata service at {address} does not answer: {error}", source="imds") from error
    finally:
        connection.close()
    if answer.status != 200 or not text:
        raise SourceFailed(
            f"the metadata service at {address} does not tell {field}: HTTP {answer.status}", source="imds"
        )
    return text


def environment() -> str:
    """Return the name of the machine's cloud, the public one where no metadata service answers. Raises BadConfig."""
    try:
        told = read("azEnvironment")
    except SourceFailed:
        return PUBLIC
    if told.lower() not in _CLOUDS:
        raise BadConfig(f"the machine's cloud is {told!r}, which is not known: name one by AZURE_ENV", value=told)
    return _CLOUDS[told.lower()]
