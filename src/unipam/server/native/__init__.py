"""The register's own API under /api/v1: routes, shapes, preconditions."""
