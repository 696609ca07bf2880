"""Messages of azure-vnet and azure-vnet-ipam (spec azure-vnet-ipam §1.7, §2, §6)."""

from __future__ import annotations

from unipam.diagnose.rules.rule import AZURE_VNET, Rule

RULES = (
    Rule("azure-exhausted", r"No available addresses(?! in)", "available addresses", near=AZURE_VNET),
    Rule("azure-no-pool", r"[Nn]o available address pools", "available address pools", near=AZURE_VNET),
    Rule("azure-pool-unknown", r"Pool id (?P<pool>[0-9a-fA-F.:]+/\d+) ?not found", "Pool id", subject="{pool}"),
    Rule("azure-del-without-subnet", r"Failed to release address: Pool id not found", "Pool id"),
    Rule(
        "azure-address-taken",
        r"Failed to allocate address: Address already in use",
        "Address already in use",
    ),
    Rule("azure-no-space", r"Invalid address space", "Invalid address space", near=AZURE_VNET),
    Rule(
        "azure-bad-subnet",
        r"Failed to (?:parse subnet|create pool|create address)[:. "
        r"].{0,120}?err(?:or)?[:=](?!<nil>)(?P<reason>[^\"]{1,120})",
        "Failed to parse subnet",
        "Failed to create pool",
        "Failed to create address",
        near=AZURE_VNET,
    ),
    Rule(
        "azure-nic-missing",
        r"Failed to find interface with (?:MAC [Aa]ddress:? ?)?(?P<mac>[0-9A-Fa-f:]{12,17})?"
        r"|Failed to find the master interface",
        "Failed to find interface",
        "master interface",
        subject="{mac}",
        near=AZURE_VNET,
    ),
    Rule(
        "azure-source-not-started",
        r"Failed to start source(?:.*?err:(?P<reason>[^\"]{1,120}))?",
        "start source",
        near=AZURE_VNET,
    ),
    Rule(
        "azure-save-failed",
        r"(?:Save failed|Failed to save (?:store|state|ipam state))[,.:]? ?(?:err:?)? ?(?P<reason>[^\"]{0,120})",
        "Save failed",
        "Failed to save store",
        "Failed to save state",
        "Failed to save ipam",
        near=AZURE_VNET,
    ),
    Rule(
        "azure-endpoint-failed",
        r"Failed to create endpoint: (?P<reason>(?!Failed to create endpoint)[^\"]{1,140})|[Ff]ailed to create "
        r"endpoint(?=\b.*error)",
        "create endpoint",
        near=AZURE_VNET,
        unless=r"hcnCreateEndpoint failed|0x803b002f",
    ),
    Rule(
        "lock-timeout",
        r"timed out locking store|Store is locked|error Acquiring store lock",
        "locking store",
        "Store is locked",
        "Acquiring store lock",
        near=AZURE_VNET,
    ),
    Rule(
        "state-corrupt",
        r"Failed to (?:restore state|initialize address manager|start IPAM plugin|initialize key-value store of "
        r"(?:ipam|network) plugin|start network plugin|create (?:IPAM|network) plugin), err:(?P<reason>(?!error "
        r"Acquiring|timed out)[^\"]+)",
        "Failed to restore state",
        "address manager",
        "start IPAM plugin",
        "key-value store of ipam",
        "key-value store of network",
        "start network plugin",
        "create IPAM plugin",
        "create network plugin",
        near=AZURE_VNET,
    ),
    Rule("refresh-failed", r"Source refresh failed, err:(?P<reason>.{1,160})", "refresh failed", near=AZURE_VNET),
    Rule(
        "hns-address",
        r"hcnCreateEndpoint failed.{0,80}?address provided is invalid or reserved|0x803b002f",
        "hcnCreateEndpoint",
        "0x803b002f",
    ),
    Rule(
        "empty-plugin-output",
        r"netplugin failed(?: but error parsing its diagnostic message \"\"|.{0,40}?unexpected end of JSON)"
        r"|netplugin failed with no error message|unexpected end of JSON input",
        "unexpected end of JSON",
        "diagnostic message",
        "netplugin failed with",
        near=AZURE_VNET,
        unless=r"restore state|address manager|start (?:IPAM|network) plugin",
    ),
    Rule(
        "plugin-crash",
        r"panic: [^\"]{1,80}|invalid memory address or nil pointer dereference|Recovered panic",
        "panic:",
        "invalid memory address",
        "Recovered panic",
        near=AZURE_VNET,
    ),
    Rule(
        "repeat-release",
        r"Failed to query (?:endpoint|network)\b.*[Nn]ot found|Endpoint \S+ not found\. Not Returning error",
        "query endpoint",
        "query network",
        "Not Returning error",
    ),
    Rule("ipv6-version", r"Incompatible Kubernetes version for dual stack", "dual stack"),
)
