"""Durable facts: the claim tree and its journal. No rules: what is written was decided above."""
