"""By which numbers random calls and examples are made: the same in each run, unless somebody asks for others.

`UNIPAM_SEED` is the number of the first sequence of calls, 0 if it is not set. With `random` it is another one each
time, and Hypothesis looks for new examples as well: what it finds then fails on a change of its own, not on somebody
else's.
"""

from __future__ import annotations

import os
import random

_WANTED = os.environ.get("UNIPAM_SEED", "0")

EXPLORES = _WANTED == "random"
"""Whether each run is to try something new."""

FIRST_SEED = random.SystemRandom().randrange(10**9) if EXPLORES else int(_WANTED)
