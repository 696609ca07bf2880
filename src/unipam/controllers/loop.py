"""A controller's rounds within a term of leadership, and how they went."""

from __future__ import annotations

import time
import traceback
from collections.abc import Callable
from typing import Any

from unipam.controllers.controller import Controller
from unipam.controllers.election import Tell
from unipam.controllers.term import Term
from unipam.model.errors import Behind, UnipamError

_FIRST_PAUSE, _LONGEST_PAUSE = 0.5, 30.0
"""Seconds between two rounds that failed; each is twice as long as the one before in the term."""


class Loop:
    """A controller at work: `failures` in a row, and when a round last succeeded (`time.monotonic()`; 0.0: never)."""

    def __init__(self, controller: Controller[Any, Any, Any], tell: Tell, now: Callable[[], float] = time.time) -> None:
        self.controller = controller
        self.failures = 0
        self.succeeded = 0.0
        self.problem = ""
        self._tell, self._now = tell, now
        self._pause = _FIRST_PAUSE

    def run(self, term: Term) -> None:
        """Do round after round until the term ends. What goes wrong is told, and tried again after a pause.

        A round that failed because a list was not up to date is repeated as soon as that is.
        """
        self._pause = _FIRST_PAUSE
        while term.lasts:
            try:
                self._round(term)
            except Behind as error:
                self._failed(term, error.message, error.over)
            except UnipamError as error:
                self._failed(term, error.message)
            except Exception as error:  # noqa: BLE001 (a defect in one controller must not end the others)
                where = "".join(traceback.format_tb(error.__traceback__)[-3:])
                self._failed(term, f"defect: {error!r} at {where}")

    def _round(self, term: Term) -> None:
        controller = self.controller
        observed = controller.observe(term)
        if not term.lasts:
            return
        done = controller.carry_out(controller.desired(observed, self._now()), term)
        controller.report(observed, done)
        self.failures, self.problem, self.succeeded, self._pause = 0, "", time.monotonic(), _FIRST_PAUSE

    def _failed(self, term: Term, problem: str, over: Callable[[], bool] = lambda: False) -> None:
        if not term.lasts:
            return
        self.failures += 1
        self.problem = problem
        self._tell("round failed", controller=self.controller.name, failures=self.failures, error=problem)
        pause, self._pause = self._pause, min(2 * self._pause, _LONGEST_PAUSE)
        term.rest(pause, over)
