"""Carries Calico's rules out on a datastore: read, decide, write at a revision, and again if somebody was faster."""
