"""Which Azure, and what makes no sense."""

from __future__ import annotations

import pytest

from unipam.clients.azure.settings import ENVIRONMENTS, Settings, from_environment
from unipam.model.errors import BadConfig


@pytest.mark.parametrize(
    ("environment", "login", "scope"),
    [
        ("AZURE_PUBLIC", "https://login.microsoftonline.com", "https://management.azure.com/.default"),
        ("AZURE_US_GOV", "https://login.microsoftonline.us", "https://management.usgovcloudapi.net/.default"),
        ("AZURE_CHINA", "https://login.chinacloudapi.cn", "https://management.chinacloudapi.cn/.default"),
    ],
)
def test_an_environment_says_where_everything_is(environment: str, login: str, scope: str) -> None:
    settings = Settings("t", "c", "s", environment=environment).checked()
    assert (settings.login, settings.scope) == (login, scope)


def test_addresses_of_ones_own_stand_in_for_the_environments() -> None:
    settings = Settings(
        "t", "c", "s", authority="https://login.local/", endpoint="https://arm.local/", audience="api://x"
    )
    assert (settings.login, settings.arm, settings.scope) == (
        "https://login.local", "https://arm.local", "api://x/.default",
    )  # fmt: skip


@pytest.mark.parametrize(
    ("settings", "says"),
    [
        (Settings(environment="AZURE_MOON"), "AZURE_MOON"),
        (Settings(authority="http://login.local"), "authority 'http://login.local'"),
        (Settings(endpoint="management.azure.com"), "endpoint 'management.azure.com'"),
        (Settings(tenant="t", secret="s"), "needs the tenant and the client"),
        (Settings("t", "c", "s", token_file="f"), "not both"),
        (Settings("no/tenant", "c", "s"), "tenant 'no/tenant'"),
    ],
)
def test_what_makes_no_sense_is_refused(settings: Settings, says: str) -> None:
    with pytest.raises(BadConfig, match=says):
        settings.checked()


def test_the_secret_does_not_show() -> None:
    shown = repr(Settings("t", "c", "hush-hush", token_file="federated"))
    assert "hush" not in shown
    assert "federated" not in shown


def test_every_environment_is_reached_over_tls() -> None:
    assert all(url.startswith("https://") for environment in ENVIRONMENTS.values() for url in environment)


def test_what_a_cluster_tells_its_workloads_is_understood() -> None:
    variables = {
        "AZURE_TENANT_ID": "t", "AZURE_CLIENT_ID": "c", "AZURE_FEDERATED_TOKEN_FILE": "/var/run/token",
        "AZURE_AUTHORITY_HOST": "https://login.microsoftonline.com/", "AZURE_CLIENT_SECRET": "", "HOME": "/",
    }  # fmt: skip
    settings = from_environment(variables)
    assert settings == Settings("t", "c", token_file="/var/run/token", authority="https://login.microsoftonline.com/")
    assert not settings.is_own_authority
    with_secret = from_environment(variables | {"AZURE_CLIENT_SECRET": "s"})
    assert (with_secret.secret, with_secret.token_file) == ("s", "")


def test_what_is_given_counts_more_than_what_variables_tell() -> None:
    variables = {
        "AZURE_TENANT_ID": "t", "AZURE_CLIENT_ID": "c", "AZURE_CLIENT_SECRET": "s",
        "AZURE_FEDERATED_TOKEN_FILE": "told",
    }  # fmt: skip
    assert from_environment(variables, client="mine", tenant="") == Settings("t", "mine", "s")
    assert from_environment(variables, token_file="given") == Settings("t", "c", token_file="given")
    del variables["AZURE_CLIENT_SECRET"]
    assert from_environment(variables, secret="given") == Settings("t", "c", "given")


def test_a_cloud_of_ones_own_by_environment_variables() -> None:
    settings = from_environment(
        {"AZURE_AUTHORITY_HOST": "https://login.local", "UNIPAM_AZURE_ENDPOINT": "https://arm.local",
         "UNIPAM_AZURE_AUDIENCE": "https://audience.local", "UNIPAM_AZURE_CA_FILE": "/ca.pem"}
    )  # fmt: skip
    assert (settings.is_own_authority, settings.arm, settings.ca_file) == (True, "https://arm.local", "/ca.pem")
    assert settings.scope == "https://audience.local/.default"
    with pytest.raises(BadConfig, match="AZURE_MOON"):
        from_environment({"AZURE_ENV": "AZURE_MOON"})
