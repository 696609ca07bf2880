"""calico-ipam: Calico's cluster-wide IPAM, on the documents that Calico keeps (spec calico-ipam)."""
