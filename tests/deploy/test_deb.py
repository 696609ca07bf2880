"""The Debian package: built twice, installed, used and purged in a root of its own over this machine's.

The root is an overlay in a mount namespace, so what is written there shows by itself: after `purge` it must be nothing.
"""

from __future__ import annotations

import json
import os
import runpy
import subprocess
from itertools import pairwise
from pathlib import Path

import pytest
from tests.real.node import missing

ROOT = Path(__file__).parents[2]
RELEASE = ROOT / "build/release/bin"
ORIGINAL = "/usr/lib/cni/host-local"
_MISSING = missing(
    {"dpkg": "dpkg-deb", "containernetworking-plugins": ORIGINAL, "python3-venv": "/usr/lib/python3.11/ensurepip"}
)
pytestmark = [
    pytest.mark.real,
    pytest.mark.skipif(bool(_MISSING), reason=_MISSING),
    pytest.mark.skipif(os.geteuid() != 0, reason="mounting and dpkg need root"),
]

IN_A_ROOT_OF_ITS_OWN = """
set -e
mount --make-rprivate /
mount -t tmpfs none {place}
mkdir {place}/upper {place}/work {place}/root
mount -t overlay overlay -o lowerdir=/,upperdir={place}/upper,workdir={place}/work {place}/root
mount -t proc proc {place}/root/proc
mount --rbind /dev {place}/root/dev
for place in run var/lib/cni; do
    mkdir -p {place}/root/$place
    mount -t tmpfs none {place}/root/$place
done
cp {package} {place}/root/tmp/unipam.deb
chroot {place}/root /bin/sh -e -c "$SCRIPT"
umount -l {place}/root/proc {place}/root/dev
rm {place}/root/tmp/unipam.deb
echo "--- left"
cd {place}/upper
find . -not -type d -not -path './var/lib/dpkg/*' -not -path './var/log/*' -not -path './tmp/*'
find . -type d -path '*unipam*'
cd {place}/root
find run var/lib/cni -name '*unipam*'
"""
"""A whole life of the package; at the end what its root has besides this machine's files. What an agent of this machine
may have is out of sight: purging it would show.
"""


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A directory with the wheel of the checkout's files as they are."""
    subprocess.run(["make", "-C", ROOT, "build/release/bin/twine"], check=True, capture_output=True)
    place = tmp_path_factory.mktemp("wheel")
    command = [RELEASE / "python", "-m", "hatchling", "build", "-t", "wheel", "-d", place]
    subprocess.run(command, cwd=ROOT, check=True, capture_output=True)
    return place


@pytest.fixture(scope="module")
def package(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build(wheel, tmp_path_factory.mktemp("first"))


def build(wheel: Path, place: Path) -> Path:
    """What `make deb` makes of the wheel."""
    command = [RELEASE / "python", "deploy/debian/build.py", wheel, place / "root", place]
    subprocess.run(command, cwd=ROOT, check=True, capture_output=True)
    (package,) = place.glob("*.deb")
    return package


def life(package: Path, place: Path, script: str) -> tuple[str, list[str]]:
    """Run a script where the package lies in /tmp; what it said, and what was left."""
    program = IN_A_ROOT_OF_ITS_OWN.format(place=place, package=package)
    environment = {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "SCRIPT": script, "DEBIAN_FRONTEND": "noninteractive"}
    done = subprocess.run(
        ["unshare", "--mount", "--pid", "--fork", "/bin/sh", "-c", program],
        env=environment, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    said, left = done.stdout.split("--- left\n")
    return said, left.split()


CONFIGURATION = json.dumps(
    {"cniVersion": "1.0.0", "name": "net", "type": "bridge", "ipam": {"type": "host-local", "subnet": "10.89.0.0/24"}}
)
PREPARE = f"""
mkdir -p /opt/cni/bin
cp {ORIGINAL} /opt/cni/bin
call() {{
    echo '{CONFIGURATION}' | CNI_COMMAND=$1 CNI_CONTAINERID=$2 CNI_IFNAME=eth0 CNI_NETNS=/run/netns/$2 \\
        CNI_PATH=/opt/cni/bin /opt/cni/bin/host-local
}}
call ADD before > /dev/null
dpkg -i /tmp/unipam.deb > /dev/null
"""
AWAY = "dpkg --purge unipam > /dev/null\n"
CLEAN = "rm -r /opt/cni /var/lib/cni/networks\n"


def test_it_is_installed_used_and_purged_without_a_trace(package: Path, tmp_path: Path) -> None:
    script = f"""{PREPARE}
    unipam --version
    unipam cni install --name host-local > /dev/null
    unipam agent > /dev/null & agent=$!
    for try in $(seq 200); do [ -S /run/unipam/agent.sock ] || sleep 0.1; done
    call ADD warm | grep -o '10.89.0.[0-9]*/24'
    kill $agent; wait $agent || true
    call ADD cold | grep -o '10.89.0.[0-9]*/24'
    mkdir -p /var/lib/unipam-register /etc/unipam && echo UNIPAM_TENANT=x > /etc/unipam/server.env
    unipam register init --database /var/lib/unipam-register/register.db > /dev/null
    {AWAY}
    cmp {ORIGINAL} /opt/cni/bin/host-local
    ls /var/lib/cni/networks /var/lib/cni/networks/net
    call ADD after | grep -o '10.89.0.[0-9]*/24'
    {CLEAN}"""
    said, left = life(package, tmp_path, script)
    lines = said.split("\n")
    assert lines[0].startswith("unipam, version ")
    assert lines[1:3] == ["10.89.0.3/24", "10.89.0.4/24"]
    assert {"10.89.0.2", "10.89.0.3", "10.89.0.4"} <= set(lines), "every lease is host-local's again"
    assert not [line for line in lines if line.startswith("unipam.")]
    assert "10.89.0.5/24" in lines
    assert left == []


def test_a_node_that_cannot_be_given_back_keeps_the_package(package: Path, tmp_path: Path) -> None:
    script = f"""{PREPARE}
    unipam cni install --name host-local > /dev/null
    call ADD one > /dev/null
    echo foreign > /var/lib/cni/networks/net/10.89.0.9
    ! dpkg --remove unipam 2>&1
    call ADD two | grep -o '10.89.0.[0-9]*/24'
    rm /var/lib/cni/networks/net/10.89.0.9
    {AWAY}{CLEAN}"""
    said, left = life(package, tmp_path, script)
    assert "10.89.0.9" in said
    assert "10.89.0.4/24" in said, "its launcher still has its interpreter"
    assert left == []


def test_an_upgrade_keeps_the_leases_and_renews_the_launchers(package: Path, tmp_path: Path) -> None:
    """The version before is this one under a lower number; its launcher differs by what is appended to it."""
    (place := tmp_path / "place").mkdir()
    script = f"""
    dpkg-deb -R /tmp/unipam.deb /tmp/before && sed -i 's/^Version: .*/Version: 0.0.1/' /tmp/before/DEBIAN/control
    dpkg-deb -z0 -b /tmp/before /tmp/before.deb > /dev/null && rm -r /tmp/before
    mv /tmp/unipam.deb /tmp/now.deb && mv /tmp/before.deb /tmp/unipam.deb
    {PREPARE}
    unipam cni install --name host-local > /dev/null
    cp /opt/cni/bin/host-local /tmp/fresh
    echo of-the-version-before >> /opt/cni/bin/host-local
    unipam agent > /dev/null & agent=$!
    for try in $(seq 200); do [ -S /run/unipam/agent.sock ] || sleep 0.1; done
    call ADD old > /dev/null
    dpkg -i /tmp/now.deb > /dev/null
    cmp /tmp/fresh /opt/cni/bin/host-local
    call ADD meanwhile | grep -o '10.89.0.[0-9]*/24'
    kill $agent; wait $agent || true
    call ADD cold | grep -o '10.89.0.[0-9]*/24'
    unipam lease list -o json | grep -o '"10.89.0.[0-9]*"'
    rm -f /tmp/fresh /tmp/now.deb
    {AWAY}{CLEAN}touch /tmp/unipam.deb"""
    said, left = life(package, place, script)
    assert said.split() == ["10.89.0.4/24", "10.89.0.5/24", *(f'"10.89.0.{number}"' for number in (2, 3, 4, 5))]
    assert left == []


def test_debian_orders_versions_as_python_does() -> None:
    in_order = ["0.1.9", "0.2.0.dev3+g57c1ca391", "0.2.0a1", "0.2.0rc1", "0.2.0rc2.dev1+gb1", "0.2.0rc2", "0.2.0"]
    debian = runpy.run_path(str(ROOT / "deploy/debian/build.py"))["debian"]
    for earlier, later in pairwise(map(debian, in_order)):
        subprocess.run(["dpkg", "--compare-versions", earlier, "lt", later], check=True)
    assert debian("0.2.0.dev3+g57c1ca391") == "0.2.0~~dev3+g57c1ca391"


def test_two_builds_are_equal_bit_by_bit(wheel: Path, package: Path, tmp_path: Path) -> None:
    assert build(wheel, tmp_path).read_bytes() == package.read_bytes()


def test_it_says_what_is_in_it(package: Path, tmp_path: Path) -> None:
    subprocess.run(["dpkg-deb", "-x", package, tmp_path], check=True)
    said = json.loads((tmp_path / "usr/share/doc/unipam/sbom.cdx.json").read_text("utf-8"))
    assert said["bomFormat"] == "CycloneDX"
    listed = {each["name"].lower().replace("_", "-"): each["version"] for each in said["components"]}
    assert listed.keys() >= {"unipam", "msgspec", "fastapi", "grpcio", "psycopg", "azure-core", "lightkube"}
    assert "pytest" not in listed
    assert str(ROOT) not in json.dumps(said)
    assert not list(tmp_path.rglob("RECORD"))
    there = subprocess.run(
        ["grep", "-rl", "--exclude=*.pyc", str(ROOT), tmp_path], capture_output=True, text=True, check=False
    )
    assert there.stdout == "", "no path of the building machine"
