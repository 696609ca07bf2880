"""The pods of a node as they come and go, and the steps of a clock: what all made logs have in common."""

from __future__ import annotations

import datetime as dt
import random
from collections.abc import Iterator
from typing import NamedTuple

AT_ONCE = 30
FAILS_EVERY = 100
_START = dt.datetime(2025, 3, 1, 6, 0, 0)
_NAMES = ("cart", "checkout", "search", "mailer", "ingress-nginx-controller", "prometheus-node-exporter", "api", "web")
_SPACES = ("shop", "shop", "shop", "payments", "ingress", "monitoring")


class Act(NamedTuple):
    """*verb* is ADD, DEL, AGAIN (a DEL repeated) or FAIL (an ADD without an answer)."""

    at: dt.datetime
    verb: str
    pid: int
    container: str
    uid: str
    namespace: str
    pod: str
    slot: int


def acts() -> Iterator[Act]:
    """Yield one act after the other, the same in every run."""
    dice, at = random.Random(14), _START
    held: dict[int, Act] = {}
    for number in range(10**9):
        at += dt.timedelta(milliseconds=dice.randrange(40, 2500))
        pid = 4000 + number * 7 % 28_000
        if len(held) >= AT_ONCE or (held and dice.random() < 0.48):
            slot = dice.choice(list(held))
            gone = held.pop(slot)
            yield gone._replace(at=at, verb="DEL", pid=pid)
            if dice.random() < 0.3:
                yield gone._replace(at=at + dt.timedelta(milliseconds=300), verb="AGAIN", pid=pid + 3)
            continue
        slot = dice.choice([slot for slot in range(AT_ONCE) if slot not in held])
        act = Act(at, "ADD", pid, dice.randbytes(32).hex(), _uid(dice), dice.choice(_SPACES), _pod(dice), slot)
        if number % FAILS_EVERY == FAILS_EVERY - 1:
            yield act._replace(verb="FAIL")
        else:
            held[slot] = act
            yield act


def _uid(dice: random.Random) -> str:
    text = dice.randbytes(16).hex()
    return f"{text[:8]}-{text[8:12]}-{text[12:16]}-{text[16:20]}-{text[20:]}"


def _pod(dice: random.Random) -> str:
    letters = "bcdfghjklmnpqrstvwxz2456789"
    return f"{dice.choice(_NAMES)}-{''.join(dice.choices(letters, k=9))}-{''.join(dice.choices(letters, k=5))}"
