"""Addresses as integers: the line, prefixes, range sets, fitting. No I/O, no clock, no policy."""
