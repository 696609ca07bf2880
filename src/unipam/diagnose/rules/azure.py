"""Messages of azure-vnet, azure-vnet-ipam (spec azure-vnet-ipam §1.7, §2, §6) and of Azure Resource Manager."""

from __future__ import annotations

from unipam.diagnose.rules.rule import Rule

RULES = (
    Rule("azure-exhausted", r"No available addresses", "available addresses"),
    Rule("azure-no-pool", r"[Nn]o available address pools", "available address pools"),
    Rule("azure-pool-unknown", r"Pool id (?P<pool>[0-9a-fA-F.:]+/\d+) ?not found", "Pool id", subject="{pool}"),
    Rule("azure-del-without-subnet", r"Failed to release address: Pool id not found", "Pool id"),
    Rule("azure-address-taken", r"Failed to allocate address: Address already in use", "Address already in use"),
    Rule("azure-no-space", r"Invalid address space", "Invalid address space"),
    Rule(
        "lock-timeout",
        r"timed out locking store|Store is locked|error Acquiring store lock",
        "locking store",
        "Store is locked",
        "Acquiring store lock",
    ),
    Rule(
        "state-corrupt",
        r"Failed to (?:restore state|initialize address manager|start IPAM plugin|initialize key-value store of "
        r"ipam plugin), err:(?P<reason>(?!error Acquiring)[^.\"]+)",
        "Failed to restore state",
        "address manager",
        "start IPAM plugin",
        "key-value store of ipam",
    ),
    Rule("refresh-failed", r"Source refresh failed, err:(?P<reason>.{1,160})", "refresh failed"),
    Rule(
        "hns-address",
        r"hcnCreateEndpoint failed.{0,80}?address provided is invalid or reserved|0x803b002f",
        "hcnCreateEndpoint",
        "0x803b002f",
    ),
    Rule(
        "empty-plugin-output",
        r"netplugin failed(?: but error parsing its diagnostic message \"\"|.{0,40}?unexpected end of JSON)"
        r"|unexpected end of JSON input",
        "unexpected end of JSON",
        "diagnostic message",
        unless=r"restore state|address manager|start IPAM plugin",
    ),
    Rule(
        "plugin-crash",
        r"panic: runtime error|invalid memory address or nil pointer dereference",
        "panic:",
        "invalid memory address",
    ),
    Rule("ipv6-version", r"Incompatible Kubernetes version for dual stack", "dual stack"),
    Rule(
        "subnet-too-small",
        r"(?:Message: |\(InsufficientSubnetSize\) )?Pre-allocated IPs (?P<wanted>\d+) exceeds IPs available "
        r"(?P<usable>\d+) in Subnet Cidr (?P<subnet>[0-9.]+/\d+), Subnet Name (?P<name>[\w.-]+?)[.]? ",
        "Pre-allocated",
        "InsufficientSubnetSize",
        subject="{subnet}",
    ),
    Rule(
        "subnet-full",
        r"\b(?P<reason>SubnetIsFull|SubnetsIsFull|NCUpdateSubnetFullError)\b",
        "SubnetIsFull",
        "SubnetsIsFull",
        "NCUpdateSubnetFullError",
    ),
    Rule(
        "throttled",
        r"\"?operationGroup\"?\s*:\s*\"?(?P<group>\w+).{0,40}?\"?startTime\"?\s*:\s*\"?(?P<start>[0-9T:.+-]+)"
        r"\"?.{0,20}?\"?endTime\"?\s*:\s*\"?(?P<end>[0-9T:.+-]+)"
        r"\"?.{0,40}?allowedRequestCount\"?\s*:\s*(?P<allowed>\d+)"
        r".{0,20}?measuredRequestCount\"?\s*:\s*(?P<measured>\d+)",
        "operationGroup",
        subject="{group}",
    ),
    Rule(
        "throttled",
        r"StatusCode=429|Status=429|TooManyRequests|[Tt]oo many requests",
        "429",
        "TooManyRequests",
        "many requests",
        unless=r"operationGroup",
    ),
    Rule(
        "azure-forbidden",
        r"(?P<reason>LinkedAuthorizationFailed|AuthorizationFailed|InvalidAuthenticationToken|AADSTS)",
        "AuthorizationFailed",
        "LinkedAuthorizationFailed",
        "InvalidAuthenticationToken",
        "AADSTS",
        subject="{reason}",
    ),
)
