"""Log lines, one module per family of formats. Each takes a line or leaves it; what it takes, it has accounted for.

These run once per line of logs of any length, so they work on bytes, look before they parse, and keep only what
`case` bounds. Time stamps are read only on the lines whose time matters.
"""
