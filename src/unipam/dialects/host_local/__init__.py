"""host-local: the reference CNI IPAM plugin (spec cni-and-host-local)."""
