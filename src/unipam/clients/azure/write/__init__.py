"""Writing to Azure: jobs that ask, what a refusal means, and one budget for all that a process asks."""
