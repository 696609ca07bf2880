"""What a cloud has, beside the plan: the port to it, the cache, synchronization, drift, findings."""
