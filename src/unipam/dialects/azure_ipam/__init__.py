"""The Azure IPAM application: its shapes, messages and roles. Translation only; nothing is decided here."""
