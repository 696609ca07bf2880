"""Keeps what plugins learn from outside fresh, in a thread of its own, so that no call has to wait for it.

What is asked, and when it is time to, the plugin knows (`Plugin.warm`); here is only the thread, and what it says.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

from unipam.agent.watch import Watch
from unipam.cni.context import Context
from unipam.cni.plugin import Learnt, Warm
from unipam.dialects import registry
from unipam.ledger.open import Ledgers
from unipam.model.errors import UnipamError
from unipam.rounds import Rounds

_TICK = 1.0
"""Seconds between two looks at whether anything is due; a look is one read of each ledger."""


class Warmer(Rounds):
    """Keeps the ledgers fresh in the directories that `directories` names, and in those where plugins have theirs."""

    def __init__(self, directories: Callable[[], Iterable[str]], watch: Watch) -> None:
        super().__init__("warm", _TICK)
        self._directories = directories
        self._watch = watch
        self._context = Context(Ledgers(timeout=2.0))
        self._said: dict[tuple[str, str], Learnt | str] = {}

    def round(self) -> None:
        """Look once at every ledger of every plugin that learns."""
        plugins = [registry.plugin(name) for name in registry.names()]
        for warm, places in dict.fromkeys((each.warm, each.places) for each in plugins if each.warm):
            self.look(warm, {*self._directories(), *places})

    def look(self, warm: Warm, directories: Iterable[str]) -> None:
        """Look at every ledger of one plugin once."""
        for directory in sorted(directories):
            try:
                for learnt in warm(self._context, directory):
                    self._say((directory, learnt.space), learnt)
            except UnipamError as error:
                self._say((directory, ""), error.message)

    def _say(self, key: tuple[str, str], news: Learnt | str) -> None:
        """Say what is new: an answer every few seconds that says the same is not."""
        before = self._said.get(key)
        if before == news:
            return
        self._said[key] = news
        directory, space = key
        if isinstance(news, Learnt):
            known = before.findings if isinstance(before, Learnt) else ()
            for each in news.findings:
                if each not in known:
                    self._watch.say("finding", directory=directory, space=space, message=each)
        if isinstance(news, str):
            self._watch.say("not kept warm", directory=directory, message=news)
        elif news.error:
            self._watch.say("source failed", directory=directory, space=space, message=news.error)
        else:
            self._watch.say("pools learned", directory=directory, space=space, pools=dict(news.pools))
