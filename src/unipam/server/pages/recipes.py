"""How a reservation is used: the lines that make the network with the reservation's tag, ready to copy."""

from __future__ import annotations

from typing import NamedTuple

from unipam.plan.reservations import Reserved

TAG = "X-IPAM-RES-ID"


class Recipe(NamedTuple):
    """Lines for one tool. Only the prefix and the id of a reservation stand in them, which are no foreign text."""

    tool: str
    text: str


def recipes(row: Reserved) -> list[Recipe]:
    """Return the lines for every tool. A network of Azure with IPv6 has IPv4 too, which these lines ask for."""
    prefix, number = row.prefix, row.facts.id
    variables = ('"$IPV4_PREFIX" ', "ipv4Prefix, ", "var.ipv4_prefix, ") if ":" in prefix else ("", "", "")
    command, bicep, terraform = variables
    return [
        Recipe(
            "Azure CLI",
            'az network vnet create --resource-group "$GROUP" --name "$NAME" \\\n'
            f"  --address-prefixes {command}{prefix} --tags {TAG}={number}",
        ),
        Recipe(
            "Bicep",
            "resource network 'Microsoft.Network/virtualNetworks@2024-05-01' = {\n  name: name\n  location: location\n"
            f"  tags: {{ '{TAG}': '{number}' }}\n"
            f"  properties: {{ addressSpace: {{ addressPrefixes: [{bicep}'{prefix}'] }} }}\n}}",
        ),
        Recipe(
            "Terraform",
            'resource "azurerm_virtual_network" "this" {\n  name                = var.name\n'
            "  location            = var.location\n  resource_group_name = var.resource_group_name\n"
            f'  address_space       = [{terraform}"{prefix}"]\n  tags                = {{ "{TAG}" = "{number}" }}\n}}',
        ),
    ]
