"""A CNI call without an agent: the same code on the same ledger, started anew."""

import sys

if "typing_extensions" not in sys.modules:  # msgspec does as well without, and importing it takes a third less time
    sys.modules["typing_extensions"] = None  # type: ignore[assignment]
    import msgspec as msgspec

    del sys.modules["typing_extensions"]
