"""The register's use cases: the tree and its free space, blocks, networks, externals, reservations, permissions."""
