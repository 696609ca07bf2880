"""What holds for every test: no property is judged by the time it takes."""

from __future__ import annotations

from hypothesis import settings

settings.register_profile("unipam", deadline=None, max_examples=60, print_blob=True)
settings.load_profile("unipam")
