"""Calico's rules, pure: over documents, without I/O, clock or dice (spec calico-ipam §1)."""
