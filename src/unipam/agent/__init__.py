"""The node's daemon: a unix socket, warm ledgers, garbage collection, metrics."""
