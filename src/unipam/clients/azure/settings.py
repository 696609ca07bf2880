"""Which Azure, which tenant, and as whom: everything that has to be known to connect. Secrets are held, never shown."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import NamedTuple
from urllib.parse import urlsplit

from unipam.model.errors import BadConfig

_TENANT = re.compile(r"[A-Za-z0-9.-]*")


class Environment(NamedTuple):
    """One Azure: where tokens come from, and where its Resource Manager is."""

    authority: str
    endpoint: str


PUBLIC = "AZURE_PUBLIC"
ENVIRONMENTS = {
    PUBLIC: Environment("https://login.microsoftonline.com", "https://management.azure.com"),
    "AZURE_US_GOV": Environment("https://login.microsoftonline.us", "https://management.usgovcloudapi.net"),
    "AZURE_US_GOV_SECRET": Environment(
        "https://login.microsoftonline.microsoft.scloud", "https://management.azure.microsoft.scloud"
    ),
    "AZURE_CHINA": Environment("https://login.chinacloudapi.cn", "https://management.chinacloudapi.cn"),
}
"""The names are those of the Azure IPAM application (spec §5.1), without Germany's, which Microsoft closed in 2021."""


class Settings(NamedTuple):
    """How to connect.

    With a `secret` it is `client` that signs in with it; with a `token_file` it is `client` with a federated token
    (workload identity, read anew each time); with neither it is the machine's managed identity, `client` being which
    one where it has several. `authority` and `endpoint` stand in for those of the `environment`; `audience` is for
    whom tokens are, the endpoint unless said otherwise. `ca_file` is the only authority of certificates where given.
    """

    tenant: str = ""
    client: str = ""
    secret: str = ""
    token_file: str = ""
    environment: str = PUBLIC
    authority: str = ""
    endpoint: str = ""
    audience: str = ""
    ca_file: str = ""

    def __repr__(self) -> str:
        return f"Settings(tenant={self.tenant!r}, client={self.client!r}, endpoint={self.arm!r})"

    @property
    def login(self) -> str:
        """Return where tokens come from."""
        return (self.authority or _environment(self.environment).authority).rstrip("/")

    @property
    def is_own_authority(self) -> bool:
        """Return whether tokens come from a place that Microsoft would not know."""
        return self.login not in {each.authority for each in ENVIRONMENTS.values()}

    @property
    def arm(self) -> str:
        """Return where the Resource Manager is."""
        return (self.endpoint or _environment(self.environment).endpoint).rstrip("/")

    @property
    def scope(self) -> str:
        """Return what a token must be good for."""
        return f"{(self.audience or self.arm).rstrip('/')}/.default"

    def checked(self) -> Settings:
        """Return the same, if they make sense. Raises BadConfig."""
        for name, url in (("authority", self.login), ("endpoint", self.arm)):
            if urlsplit(url).scheme != "https" or not urlsplit(url).hostname:
                raise BadConfig(f"{name} {url!r} is no https address: tokens are sent there", field=name, value=url)
        if (self.secret or self.token_file) and not (self.tenant and self.client):
            raise BadConfig("a client secret or a token file needs the tenant and the client it belongs to")
        if not _TENANT.fullmatch(self.tenant):
            raise BadConfig(f"tenant {self.tenant!r} is no tenant's id or domain", field="tenant", value=self.tenant)
        if self.secret and self.token_file:
            raise BadConfig("give a client secret or a token file, not both")
        return self


VARIABLES = {
    "tenant": "AZURE_TENANT_ID",
    "client": "AZURE_CLIENT_ID",
    "secret": "AZURE_CLIENT_SECRET",
    "token_file": "AZURE_FEDERATED_TOKEN_FILE",
    "authority": "AZURE_AUTHORITY_HOST",
    "environment": "AZURE_ENV",
    "endpoint": "UNIPAM_AZURE_ENDPOINT",
    "audience": "UNIPAM_AZURE_AUDIENCE",
    "ca_file": "UNIPAM_AZURE_CA_FILE",
}
"""The names of the first five are Microsoft's: on AKS they are there of themselves (workload identity). `AZURE_ENV` is
the Azure IPAM application's."""


def from_environment(variables: Mapping[str, str], **given: str) -> Settings:
    """Return the settings that environment variables tell, where they are not `given`; what is empty is not told.

    A variable with a secret counts more than one with a federated token, as for azure-identity. Raises BadConfig.
    """
    told = {field: variables[name] for field, name in VARIABLES.items() if variables.get(name)}
    given = {field: value for field, value in given.items() if value}
    if "secret" in given or ("secret" in told and "token_file" not in given):
        told.pop("token_file", None)
    if "token_file" in given:
        told.pop("secret", None)
    return Settings(**{**told, **given}).checked()


def _environment(name: str) -> Environment:
    try:
        return ENVIRONMENTS[name]
    except KeyError:
        known = ", ".join(ENVIRONMENTS)
        raise BadConfig(f"environment {name!r} is not one of {known}", field="environment", value=name) from None
