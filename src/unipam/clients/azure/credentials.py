"""Tokens from Entra ID: as the register itself, or on behalf of a user whose token was sent to it.

Made by azure-identity, which is imported only here and only when somebody connects. Its errors are translated where
a token is asked for (`arm`).
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from unipam.clients.azure.settings import Settings
from unipam.model.errors import BadConfig

if TYPE_CHECKING:
    from azure.core.credentials import TokenCredential


def own(settings: Settings) -> TokenCredential:
    """Return the register's own credential. Raises BadConfig."""
    from azure import identity

    settings = settings.checked()
    if settings.secret:
        return identity.ClientSecretCredential(
            settings.tenant, settings.client, settings.secret, **_connection(settings)
        )
    if settings.token_file:
        return identity.WorkloadIdentityCredential(
            tenant_id=settings.tenant,
            client_id=settings.client,
            token_file_path=settings.token_file,
            **_connection(settings),
        )
    return identity.ManagedIdentityCredential(client_id=settings.client or None)


def on_behalf_of(settings: Settings, token: str) -> TokenCredential:
    """Return the credential of the user who sent this access token, by the on-behalf-of flow. Raises BadConfig.

    A managed identity cannot do it: the flow needs the application to which the token was issued.
    """
    from azure import identity

    settings = settings.checked()
    proof: dict[str, Any]
    if settings.secret:
        proof = {"client_secret": settings.secret}
    elif settings.token_file:
        proof = {"client_assertion_func": _reader(settings.token_file)}
    else:
        raise BadConfig("to ask on behalf of users takes a client secret or a token file; a managed identity cannot")
    return identity.OnBehalfOfCredential(
        settings.tenant, settings.client, user_assertion=token, **proof, **_connection(settings)
    )


def can_act_for_users(settings: Settings) -> bool:
    """Return whether `on_behalf_of` would work."""
    return bool(settings.secret or settings.token_file)


def _reader(path: str) -> Callable[[], str]:
    return lambda: Path(path).read_text("utf-8").strip()


def _connection(settings: Settings) -> dict[str, Any]:
    """Return the options of the connection; nothing is asked of Microsoft about an authority that is not its own."""
    options: dict[str, Any] = {"authority": settings.login}
    if settings.is_own_authority:
        options["disable_instance_discovery"] = True
    if settings.ca_file:
        options["connection_verify"] = settings.ca_file
    return options
