"""Calico's garbage: what is looked at, what is done about it, and what is told."""
