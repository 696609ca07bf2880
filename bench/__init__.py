"""Measurements against the real peers, side by side in one run. `python -m bench [NAME...]` runs them."""
