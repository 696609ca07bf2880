"""The report for people and machines: a table for the terminal, JSON and YAML, and one self-contained page."""
