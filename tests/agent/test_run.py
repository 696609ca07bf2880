"""The agent's process: how it ends."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

from tests.conftest import ANSWERED_WITHIN

_SIGNALLED_WHILE_IT_WAITS = """
import signal, sys, threading, time
from unipam.agent.run import Settings, run

def ready():
    time.sleep(0.2)  # the loop waits for calls by now
    signal.pthread_kill(threading.get_ident(), signal.SIGTERM)

run(Settings(sys.argv[1], sweep=0.0), ready)
"""


def test_a_signal_that_interrupts_no_wait_ends_the_agent(short_dir: Callable[[], Path]) -> None:
    """As one that comes in the moment before the loop waits, or that the kernel hands to another thread."""
    command = [sys.executable, "-c", _SIGNALLED_WHILE_IT_WAITS, str(short_dir() / "agent.sock")]
    done = subprocess.run(command, stderr=subprocess.PIPE, timeout=ANSWERED_WITHIN, check=False)
    assert done.returncode == 0, done.stderr
    assert b'"stopped"' in done.stderr
