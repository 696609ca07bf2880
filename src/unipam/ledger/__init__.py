"""A node's use cases: allocate, release, check, collect, reconcile, history, explain."""
