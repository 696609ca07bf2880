"""Calico's IPAM documents as values: what is known of them typed, what is not kept (spec calico-ipam §4)."""
