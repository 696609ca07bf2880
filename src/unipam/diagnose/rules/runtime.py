"""Messages of kubelet, the container runtime and other plugins that stand beside an address problem or cause it."""

from __future__ import annotations

from unipam.diagnose.rules.rule import CALICO, Rule

RULES = (
    Rule(
        "no-cni",
        r"cni plugin not initialized|cni config uninitialized|no networks found in /etc/cni/net\.d|No networks "
        r"found in /etc/cni/net\.d",
        "plugin not initialized",
        "config uninitialized",
        "networks found in",
    ),
    Rule(
        "plugin-missing",
        r"failed to find plugin \"(?P<plugin>[\w.-]+)\" in path",
        "failed to find plugin",
        subject="{plugin}",
    ),
    Rule(
        "chain-failed",
        r"plugin type=[\"']?(?P<plugin>[a-z0-9-]+)[\"']? failed \(add\): (?:failed to open iptables: )?exec: "
        r"\"?(?P<program>[\w.-]+)\"?: executable file not found",
        "executable file not found",
        subject="{plugin}",
    ),
    Rule(
        "runtime-overloaded",
        r"attach namespace failed|hcs::CreateComputeSystem",
        "attach namespace",
        "hcs::CreateComputeSystem",
    ),
    Rule(
        "runtime-overloaded",
        r"(?:create pod sandbox|rpc error: code = DeadlineExceeded).{0,80}context deadline exceeded",
        "deadline exceeded",
        "DeadlineExceeded",
    ),
    Rule("sandbox-name-reserved", r"failed to reserve sandbox name", "reserve sandbox name"),
    Rule(
        "api-refused",
        r"dial tcp (?P<api>[0-9a-fA-F.:\[\]]+:(?:443|6443|8443|16443)): (?:connect: )?(?P<reason>connection "
        r"refused|i/o timeout|no route to host)",
        "dial tcp",
        subject="{api}",
        near=rf"{CALICO}|/apis?/",
    ),
)
