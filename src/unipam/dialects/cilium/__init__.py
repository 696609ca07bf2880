"""Cilium's Azure IPAM: CiliumNode documents and the operator's planners, purely; spec/cilium-azure-ipam.md."""
