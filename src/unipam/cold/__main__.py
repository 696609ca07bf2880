"""The cold path: the launcher becomes this when no agent answers. The same code on the same ledger, started anew."""

from __future__ import annotations

import contextlib
import os
import sys

from unipam.cni.call import Answer, Call
from unipam.cni.context import Context
from unipam.dialects.registry import answer, plugin
from unipam.ledger.open import Ledgers, began


def _environment() -> dict[str, str]:
    ours = {name: value for name, value in os.environb.items() if name.startswith((b"CNI_", b"UNIPAM_"))}
    return {name.decode("utf-8", "replace"): value.decode("utf-8", "replace") for name, value in ours.items()}


def _stdin(verb: str) -> bytes:
    return sys.stdin.buffer.read() if verb and verb != "VERSION" else b""


def _cwd() -> str:
    """Return where the caller is; empty when that directory was removed."""
    try:
        return os.getcwd()
    except FileNotFoundError:
        return ""


def _deliver(given: Answer, context: Context) -> None:
    """Tell the caller; if it is gone nobody has the address, so take the work back (defect D4)."""
    with contextlib.suppress(OSError):  # nobody listens to it who needs it
        os.write(2, given.stderr)
    try:
        rest = memoryview(given.stdout)
        while rest:
            rest = rest[os.write(1, rest) :]
    except OSError:
        if given.undo:
            import time

            from unipam.cni.undoing import SHORT, take_back

            take_back(given.undo, lambda: context, SHORT, time.sleep, lambda *_: None)
        sys.exit(1)


def _heard() -> bool:
    """Return whether somebody could still read the answer: a pipe whose reader has gone says so."""
    import select

    standard_output = select.poll()
    standard_output.register(1, 0)
    return not any(event & (select.POLLERR | select.POLLHUP) for _, event in standard_output.poll(0))


def main() -> None:
    """Answer one call and exit with its code. Behind the plugin's name may stand arguments, which only some know."""
    name, *words = sys.argv[1:] or sys.argv
    if words and (command := plugin(os.path.basename(name)).command):
        sys.exit(command(words))
    env = _environment()
    call = Call(os.path.basename(name), env, _stdin(env.get("CNI_COMMAND", "")), _cwd(), asked=began("self"))
    context = Context(Ledgers(), heard=_heard)
    result = answer(call, context)
    _deliver(result, context)
    # What was answered is committed; an orderly end would only make the caller wait for it.
    os._exit(result.code)


if __name__ == "__main__":
    main()
