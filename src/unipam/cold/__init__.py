"""A CNI call without an agent: the same code on the same ledger, started anew."""
