"""Logs as nodes write them, made without end: healthy churn, other programs, and now and then a failure."""
