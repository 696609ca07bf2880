"""Who may use a register: callers and their roles, grants, tokens."""
