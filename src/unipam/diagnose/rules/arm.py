"""What Azure Resource Manager and AKS answer when addresses, ranges or their limits do not fit (spec aks-sizing §4).

The same answer comes as the CLI's `(Code) text`, as the portal's sentence, as Terraform's `Code="…" Message="…"`,
as JSON (often a string inside a string), and in the autoscaler's log: a rule names the sentence, or the code.
"""

from __future__ import annotations

from unipam.diagnose.rules.rule import AZURE, Rule

_CIDR = r"[0-9a-fA-F.:]+/\d+"


def _code(name: str) -> str:
    """Match the code as an answer carries it: after `code`, in brackets, or before its message; never a bare word."""
    lead = r"(?P<lead>(?:[Cc]ode|CODE|status|reason)[\"' ]*[:=][\"' ]*|\(|- )?"
    return rf"{lead}(?<!\w){name}\b(?(lead)|(?=\"?: |\" ?[,)]))"


RULES = (
    Rule(
        "pod-cidr-too-small",
        r"Pre-allocated IPs (?P<wanted>\d+) exceeds IPs available (?P<usable>\d+) in (?:Subnet Cidr "
        r"(?P<subnet>[0-9.]+/\d+), "
        r"Subnet Name networkProfile\.podCIDR|Pod Cidr (?P<pods>[0-9.]+/\d+))",
        "Pre-allocated",
        subject="{subnet}{pods}",
    ),
    Rule(
        "pod-cidr-too-small",
        _code("InsufficientPodCidr"),
        "InsufficientPodCidr",
        unless=r"Pre-allocated IPs",
    ),
    Rule(
        "subnet-too-small",
        r"Pre-allocated IPs (?P<wanted>\d+) exceeds IPs available (?P<usable>\d+) in Subnet Cidr "
        r"(?P<subnet>[0-9.]+/\d+)"
        r"(?!\d|, Subnet Name networkProfile)(?:, Subnet Name (?P<name>[\w-]+(?:\.[\w-]+)*))?",
        "Pre-allocated",
        subject="{subnet}",
    ),
    Rule(
        "subnet-too-small",
        r"Pre-allocated IPs (?P<wanted>\d+) exceeds IPs available in Subnet (?P<usable>\d+)",
        "Pre-allocated",
    ),
    Rule(
        "subnet-too-small",
        _code("InsufficientSubnetSize"),
        "InsufficientSubnetSize",
        unless=r"Pre-allocated IPs",
    ),
    Rule(
        "subnet-full",
        r"(?:Subnet '?(?:\S*/)?(?P<name>[\w.-]+?)'?\\? ?(?:\.\.\. |with address prefix "
        r"'?(?P<subnet>[0-9a-fA-F.:/<A-Z>]+?)'?\\? ))?"
        r"do(?:es not|esn't) have enough (?:capacity|available IP addresses)(?: to satisfy the request)?"
        r"(?: for (?P<wanted>\d+)? ?IP addresses)?",
        "have enough capacity",
        "enough available IP",
        subject="{subnet}",
        near=rf"{AZURE}|SubnetIsFull|IP addresses",
    ),
    Rule(
        "subnet-full",
        _code(r"(?P<reason>SubnetIsFull|SubnetsIsFull)") + r"|\b(?P<status>NCUpdateSubnetFullError)\b",
        "SubnetIsFull",
        "SubnetsIsFull",
        "NCUpdateSubnetFullError",
        unless=r"have enough (?:capacity|available)",
    ),
    Rule(
        "service-cidr-overlap",
        rf"service CIDR (?P<range>{_CIDR}) is conflicted with an existing subnet CIDR (?P<other>{_CIDR})"
        "|" + _code("ServiceCidrOverlapExistingSubnetsCidr"),
        "service CIDR",
        "ServiceCidrOverlapExistingSubnetsCidr",
        subject="{range}",
    ),
    Rule(
        "pod-cidr-overlap",
        rf"NetworkProfile CIDR (?P<range>{_CIDR}) overlaps with reserved VNET CIDR (?P<other>{_CIDR})"
        "|" + _code("NetworkProfileCIDROverlapVNET") + r"(?!.*NetworkProfile CIDR)",
        "NetworkProfile CIDR",
        "NetworkProfileCIDROverlapVNET",
        subject="{range}",
    ),
    Rule(
        "range-overlap",
        _code(
            r"(?P<code>NetcfgInvalidSubnet|NetcfgSubnetRangesOverlap|SubnetOverlap\w*|VnetAddressSpaceOverlap\w*"
            r"|PodCidrOverlap\w*|"
            r"ServiceCidrOverlap(?!ExistingSubnets)\w*|VnetAddressSpacesOverlap\w*|AddressSpaceOverlap\w*)"
        ),
        "NetcfgInvalidSubnet",
        "NetcfgSubnetRangesOverlap",
        "VnetAddressSpacesOverlap",
        "PodCidrOverlap",
        "ServiceCidrOverlap",
        "SubnetOverlap",
        "AddressSpaceOverlap",
        subject="{code}",
    ),
    Rule(
        "cidr-invalid",
        _code(r"(?P<code>CidrStringParseError|InvalidCIDRNotation|InvalidPodCidr|InvalidServiceCidr)"),
        "CidrStringParseError",
        "InvalidCIDRNotation",
        "InvalidPodCidr",
        "InvalidServiceCidr",
        subject="{code}",
    ),
    Rule(
        "subnet-in-use",
        _code(
            r"(?P<code>InUseSubnetCannotBe(?:Updated|Deleted)|InUsePrefixCannotBeDeleted|SubnetInUse"
            r"|SubnetWithDelegation\w*)"
        )
        + r"|Subnet '?(?P<name>[\w./-]+)'? is in use (?:and cannot be|by)",
        "InUseSubnetCannotBeUpdated",
        "InUseSubnetCannotBeDeleted",
        "InUsePrefixCannotBeDeleted",
        "SubnetInUse",
        "SubnetWithDelegation",
        "is in use and cannot",
        subject="{code}",
    ),
    Rule(
        "public-ip-limit",
        _code(r"(?P<code>(?:Static|Standard|Basic)?\w*PublicIP(?:Address)?(?:Standard\w*|Prefix)?CountLimitReached)")
        + r"|Cannot create more than (?P<limit>\d+) public IP addresses",
        "StaticPublicIPCountLimitReached",
        "PublicIPCountLimitReached",
        "PublicIPAddressCountLimitReached",
        "StandardSkuPublicIPCountLimitReached",
        "PublicIPPrefixCountLimitReached",
        "more than",
        subject="public IP addresses",
    ),
    Rule(
        "frontend-limit",
        _code(r"LoadBalancerFrontendIPConfigurationCountLimitReached")
        + r"|cannot have more than (?P<limit>\d+) FrontendIPConfigurations",
        "LoadBalancerFrontendIPConfigurationCountLimitReached",
        "FrontendIPConfigurations",
        subject="front-end configurations",
    ),
    Rule(
        "nic-limit",
        r"secondary ipconfigurations (?P<wanted>\d+) in network profile.{0,80}?maximum allowed value of (?P<limit>\d+)"
        "|" + _code(r"(?P<code>PrivateIPAddressCountLimit\w*|NetworkInterfaceIpConfiguration\w*Limit\w*)"),
        "secondary ipconfigurations",
        "PrivateIPAddressCountLimitReached",
        "NetworkInterfaceIpConfigurationLimitReached",
    ),
    Rule(
        "outbound-ports",
        r"allocated ports (?P<ports>\d+) is not in an allowable range.{0,200}?(?:(?P<wanted>\d+) ports but only "
        r"(?P<usable>\d+))?"
        "|" + _code("InvalidLoadBalancerProfileAllocatedOutboundPorts"),
        "allowable range",
        "InvalidLoadBalancerProfileAllocatedOutboundPorts",
    ),
    Rule(
        "aks-value",
        r"value of parameter (?P<name>maxPods|agentPoolProfile\.\w+|networkProfile\.\w+) is invalid"
        r"|(?P<count>agentPoolProfile\.count) was \d+\. It must be|Insufficient (?P<pods>maxPods) value",
        "value of parameter",
        "agentPoolProfile.count",
        "Insufficient maxPods",
        subject="{name}{count}{pods}",
    ),
    Rule(
        "quota",
        _code(
            r"(?P<code>QuotaExceeded|OperationNotAllowed|VnetCountLimitReached|SubnetCountLimitReached"
            r"|RouteTableRouteLimit\w*|"
            r"RouteTableRoutesLimit\w*|VnetPeeringCountLimit\w*)"
        )
        + r"(?!.{0,200}(?:too many requests|operationGroup))",
        "QuotaExceeded",
        "OperationNotAllowed",
        "VnetCountLimitReached",
        "SubnetCountLimitReached",
        "RouteTableRouteLimitReached",
        "VnetPeeringCountLimitReached",
        subject="{code}",
        near=AZURE,
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
        r"StatusCode=429|Status=429|StatusCode: 429|RESPONSE 429|TooManyRequests|[Tt]oo many requests",
        "429",
        "TooManyRequests",
        "many requests",
        near=AZURE,
        unless=r"operationGroup|\[(?:PUT|POST|GET|PATCH|DELETE) /",
    ),
    Rule(
        "azure-forbidden",
        _code(
            r"(?P<reason>LinkedAuthorizationFailed|AuthorizationFailed|InvalidAuthenticationToken\w*"
            r"|NCUpdateUnauthorizedError)"
        )
        + r"|\bLinkedAuthorizationFailed\b",
        "AuthorizationFailed",
        "LinkedAuthorizationFailed",
        "InvalidAuthenticationToken",
        "InvalidAuthenticationTokenTenant",
        "NCUpdateUnauthorizedError",
        subject="{reason}",
    ),
    Rule("azure-forbidden", r"(?P<reason>AADSTS\d+)", "AADSTS", subject="{reason}", near=rf"{AZURE}|cilium"),
)
