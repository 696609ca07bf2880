"""What the agent tells the world: one structured line a call, and metrics. Nothing leaves the machine by itself."""

from __future__ import annotations

import sys
import time

import msgspec

from unipam.cni.call import Answer, Call


class Watch:
    """Writes log lines to stderr."""

    def observe(self, call: Call, given: Answer, seconds: float) -> None:
        """One line for one call."""
        env = call.env
        self._write(
            {
                "time": time.time(),
                "event": "call",
                "verb": call.verb,
                "plugin": call.plugin,
                "container": env.get("CNI_CONTAINERID", ""),
                "interface": env.get("CNI_IFNAME", ""),
                "outcome": "ok" if given.code == 0 else "error",
                "ms": round(seconds * 1000, 3),
                **given.facts,
            }
        )

    def say(self, event: str, **facts: object) -> None:
        """One line for something else."""
        self._write({"time": time.time(), "event": event, **facts})

    def _write(self, line: dict[str, object]) -> None:
        sys.stderr.buffer.write(msgspec.json.encode(line) + b"\n")
        sys.stderr.buffer.flush()
