"""The use cases. Synchronous; the only place where rules and store meet."""
