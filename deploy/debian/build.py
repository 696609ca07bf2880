"""Makes the Debian package: unipam with all extras in an environment of its own, systemd's units, `unipam` on PATH.

    python deploy/debian/build.py WHEELS WORK TARGET

WHEELS holds the one wheel to be packed; WORK is made anew; the package goes into the directory TARGET. It is run by the
release environment's Python (`make deb`), whose base must be a Debian package: the result depends on that one. The same
wheel gives the same package, bit by bit.
"""

from __future__ import annotations

import compileall
import gzip
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from py_compile import PycInvalidationMode

HERE = Path(__file__).parent
LOCK = HERE.parent / "requirements" / "machine.lock"
HOME = Path("/opt/unipam")
COMMANDS = ("unipam", "kubectl-unipam")
COMPLETIONS = {
    "bash": "usr/share/bash-completion/completions/unipam",
    "zsh": "usr/share/zsh/vendor-completions/_unipam",
    "fish": "usr/share/fish/vendor_completions.d/unipam.fish",
}
"""Where each shell looks for what completes our commands."""
OF_THE_BUILD = ("RECORD", "INSTALLER", "REQUESTED", "direct_url.json")
"""What pip notes beside a package about how it came here; RECORD has checksums of what is changed below."""

CONTROL = """\
Package: unipam
Version: {version}
Architecture: {architecture}
Maintainer: the unipam founders <unipam@localhost>
Installed-Size: {size}
Depends: {python}, {library}
Section: net
Priority: optional
Description: IP address management for Kubernetes on Azure
 One register for every address, from the enterprise plan down to the pod: a node
 agent in place of the CNI plugins host-local and azure-vnet-ipam, and a register
 with an API and pages for spaces, blocks and reservations.
 .
 Neither is started by the installation: systemctl enable --now unipam-agent, or
 unipam-server.
"""


def build(wheels: Path, work: Path, target: Path) -> Path:
    """Pack the wheel; return where the package is. Raises SystemExit when the interpreter is not one of Debian's."""
    shutil.rmtree(work, ignore_errors=True)
    (wheel,) = wheels.glob("unipam-*.whl")
    version = wheel.name.split("-")[1]
    interpreter = Path(sys.executable).resolve()
    depends = packages_of(interpreter)
    packages = make_environment(work / HOME.relative_to("/"), interpreter, wheels, version)
    lay_out(work)
    write_manual(work)
    write_sbom(work)
    tidy(work, packages)
    write_control(work, version, depends)
    return pack(work, target)


def packages_of(interpreter: Path) -> tuple[str, str]:
    """Return the interpreter's Debian package, and that of its standard library's part which Debian keeps apart."""
    ask: list[str | Path] = ["dpkg", "-S", interpreter]
    said = subprocess.run(ask, capture_output=True, text=True, check=False).stdout
    if not said:
        sys.exit(f"{interpreter} is of no Debian package: make deb PYTHON=/usr/bin/python3.11")
    name = re.sub(r"-minimal$", "", said.split(":")[0])
    return name, f"lib{name}-stdlib"


def make_environment(root: Path, interpreter: Path, wheels: Path, version: str) -> Path:
    """Make an environment that works when `root` lies in its place, not where it is made; return its packages."""
    subprocess.run([interpreter, "-m", "venv", "--without-pip", root], check=True)
    pip: list[str | Path] = [
        sys.executable,
        "-m",
        "pip",
        "--python",
        root / "bin/python",
        "install",
        "-q",
        "--no-compile",
    ]
    subprocess.run([*pip, "--require-hashes", "-r", LOCK], check=True)
    subprocess.run([*pip, "--no-deps", "--no-index", "--find-links", wheels, f"unipam=={version}"], check=True)
    settings = root / "pyvenv.cfg"
    settings.write_text(re.sub(r"^command = .*\n", "", settings.read_text("utf-8"), flags=re.MULTILINE))
    for script in [each for each in (root / "bin").iterdir() if not each.name.startswith("python")]:
        if script.name in COMMANDS:
            script.write_text(re.sub(r"\A#!.*", f"#!{HOME}/bin/python", script.read_text("utf-8")))
        else:
            script.unlink()
    shutil.rmtree(root / "include", ignore_errors=True)
    (packages,) = root.glob("lib/python3*/site-packages")
    return packages


def lay_out(work: Path) -> None:
    """Put down what lies outside of the environment."""
    (work / "usr/bin").mkdir(parents=True)
    for name in COMMANDS:
        (work / "usr/bin" / name).symlink_to(HOME / "bin" / name)
    shutil.copytree(HERE.parent / "systemd", work / "lib/systemd/system")
    documents = work / "usr/share/doc/unipam"
    documents.mkdir(parents=True)
    shutil.copy(HERE.parents[1] / "LICENSE", documents / "copyright")
    changes = gzip.compress((HERE.parents[1] / "CHANGELOG.md").read_bytes(), mtime=0)
    (documents / "changelog.gz").write_bytes(changes)


def write_manual(work: Path) -> None:
    """Write the manual pages and the shells' completions: both are made by the commands themselves."""
    python, pages = work / HOME.relative_to("/") / "bin/python", work / "usr/share/man/man1"
    subprocess.run([python, "-I", "-B", HERE.parent / "man.py", pages], check=True)
    for page in sorted(pages.iterdir()):
        page.with_name(f"{page.name}.gz").write_bytes(gzip.compress(page.read_bytes(), mtime=0))
        page.unlink()
    for shell, place in COMPLETIONS.items():
        (work / place).parent.mkdir(parents=True)
        command: list[str | Path] = [python, "-I", "-B", "-m", "unipam", "completion", shell]
        (work / place).write_bytes(subprocess.run(command, stdout=subprocess.PIPE, check=True).stdout)


def write_sbom(work: Path) -> None:
    """Say what is in the environment: CycloneDX, by its own library."""
    command: list[str | Path] = [
        Path(sys.executable).with_name("cyclonedx-py"),
        "environment",
        "--output-reproducible",
        "--of",
        "JSON",
    ]
    target = work / "usr/share/doc/unipam/sbom.cdx.json"
    subprocess.run([*command, "-o", target, work / HOME.relative_to("/") / "bin/python"], check=True)


def tidy(work: Path, packages: Path) -> None:
    """Leave the build's traces out, compile, so that nothing is ever written there, and set plain modes."""
    for info in packages.glob("*.dist-info"):
        for name in OF_THE_BUILD:
            (info / name).unlink(missing_ok=True)
    plain = PycInvalidationMode.UNCHECKED_HASH
    compileall.compile_dir(packages, quiet=2, force=True, stripdir=str(work), prependdir="/", invalidation_mode=plain)
    for path in [work, *work.rglob("*")]:
        if not path.is_symlink():
            path.chmod(0o755 if path.is_dir() or os.access(path, os.X_OK) else 0o644)


def write_control(work: Path, version: str, depends: tuple[str, str]) -> None:
    """Write DEBIAN/: what dpkg is to know, and the scripts that it runs."""
    control = work / "DEBIAN"
    control.mkdir()
    size = sum(path.lstat().st_size for path in work.rglob("*") if path.is_file()) // 1024
    ask = ["dpkg", "--print-architecture"]
    architecture = subprocess.run(ask, capture_output=True, text=True, check=True).stdout
    python, library = depends
    (control / "control").write_text(
        CONTROL.format(
            version=debian(version), architecture=architecture.strip(), size=size, python=python, library=library
        )
    )
    for name in ("postinst", "prerm", "postrm"):
        shutil.copy(HERE / name, control / name)
        (control / name).chmod(0o755)


def debian(version: str) -> str:
    """Return a version of Python's as Debian orders it: what precedes a release sorts before it, `dev` before `rc`."""
    public, plus, commit = version.partition("+")
    return re.sub(r"(a|b|rc)(?=\d)", r"~\1", public).replace(".dev", "~~dev") + plus + commit


def pack(work: Path, target: Path) -> Path:
    """Call dpkg-deb, which takes no time of a file that is later than SOURCE_DATE_EPOCH."""
    target.mkdir(parents=True, exist_ok=True)
    command: list[str | Path] = ["dpkg-deb", "--root-owner-group", "-Zxz", "-z3", "--build", work, target]
    said = subprocess.run(command, capture_output=True, text=True, check=True, env=os.environ).stdout
    return Path(re.findall(r"'([^']+\.deb)'", said)[0])


if __name__ == "__main__":
    os.environ.setdefault("SOURCE_DATE_EPOCH", "315619200")  # 1980, as in the wheel
    print(build(*map(Path, sys.argv[1:])))  # noqa: T201 (what was made)
