"""The API of the Azure IPAM application: routes. What is said in its words is worded in `dialects.azure_ipam`."""
