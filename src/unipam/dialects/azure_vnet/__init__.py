"""azure-vnet-ipam: the IPAM plugin of Azure CNI (spec azure-vnet-ipam §1-§3)."""
