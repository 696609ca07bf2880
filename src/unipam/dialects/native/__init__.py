"""unipam's own plugin: addresses of a node's own pools, from its CiliumNode or its podCIDRs."""
