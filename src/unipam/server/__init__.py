"""The register: HTTP APIs over the address plan, sign-in, limits, metrics. Rules and storage are beneath."""
