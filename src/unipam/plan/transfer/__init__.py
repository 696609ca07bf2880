"""Whole plans out of a register and in."""
