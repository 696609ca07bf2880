"""The rules of handing out addresses: records, errors, decisions. No I/O, no clock, no randomness, no logging."""
