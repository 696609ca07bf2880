"""A terminal on a machine of its own: namespaces, and a root that is an overlay over this machine's."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path
from types import TracebackType

UNIPAM = Path(__file__).parents[2]
_MACHINE = """
set -e
mount --make-rprivate /
mount -t tmpfs none {place}
mkdir {place}/upper {place}/work {place}/root
mount -t overlay overlay -o lowerdir=/,upperdir={place}/upper,workdir={place}/work {place}/root
cd {place}/root
mount -t proc proc proc
mount --rbind /dev dev
mount -t sysfs sysfs sys
mount -t tmpfs none run
mount -t tmpfs none tmp
mkdir -p .{checkout}
mount --rbind {checkout} .{checkout}
rm -rf opt/cni var/lib/cni var/lib/unipam* etc/unipam
mkdir -p home/reader run/terminal
ln -sf {checkout}/.venv/bin/unipam usr/local/bin/unipam
ip link set lo up
hostname node-1
exec chroot . /usr/bin/env -i HOME=/home/reader LANG=C.UTF-8 TERM=dumb COLUMNS=120 \
    PATH=/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin /bin/bash --norc
"""
_END = "--- end of the output ---"
_STARTED = re.compile(r"> (\S+) 2>&1 &\s*$")
_READY = "listening|running on"
PATIENCE = 120
"""Seconds after which a command hangs."""


class Terminal:
    """A shell in which one page is typed. It ends, with all that it started, when the block does."""

    def __init__(self, place: Path) -> None:
        script = _MACHINE.format(place=place, checkout=UNIPAM)
        apart = ["unshare", "--mount", "--pid", "--net", "--uts", "--fork", "--kill-child"]
        self._shell = subprocess.Popen(
            [*apart, "/bin/sh", "-c", script], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
            text=True,
        )  # fmt: skip
        self._put("/run/terminal/wait", _WAIT)
        self.type("cd")

    def __enter__(self) -> Terminal:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None) -> None:
        self._shell.kill()
        self._shell.communicate(timeout=PATIENCE)

    def write(self, name: str, text: str) -> None:
        """Write a file into the directory where the shell is."""
        self._put(name, text)

    def type(self, command: str) -> str:
        """Run a command; return what it printed. After one that starts a server, wait until that serves."""
        started = _STARTED.search(command)
        if started:
            self._ask(f"rm -f {started[1]}")  # a log of the one before says the same
        self._put("/run/terminal/command", command)
        said = self._ask(". /run/terminal/command < /dev/null")
        if started:
            waited = self._ask(f"sh /run/terminal/wait {started[1]} '{_READY}'")
            assert not waited, waited
        return said

    def _put(self, name: str, text: str) -> None:
        assert "END OF FILE" not in text
        self._ask(f"cat > {name} <<'END OF FILE'\n{text.rstrip(chr(10))}\nEND OF FILE")

    def _ask(self, line: str) -> str:
        assert self._shell.stdin is not None
        assert self._shell.stdout is not None
        self._shell.stdin.write(f"{line}\necho; echo '{_END}'\n")
        self._shell.stdin.flush()
        said: list[str] = []
        for each in self._shell.stdout:
            if each.rstrip("\n") == _END:
                return "".join(said).removesuffix("\n")
            said.append(each)
        raise AssertionError("the shell ended: " + "".join(said))


_WAIT = f"""
for try in $(seq {PATIENCE * 10}); do
    grep -sqE "$2" "$1" && exit
    sleep 0.1
done
echo "$1 does not say that it serves:"; cat "$1"
"""
