"""Cilium's Azure IPAM operator: gives machines the addresses that their nodes need, and takes them back."""
