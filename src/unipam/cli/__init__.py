"""The command line: one command per use case."""
