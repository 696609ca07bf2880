#!/bin/bash
# A new user's first hour, in a Debian that has nothing but what a user would have: `make first-hour`.
#   run.sh BEFORE   the version before, as git knows it, to upgrade from
# It needs root, debootstrap, a Debian mirror and a package index for what is prepared; the hour itself has no network.
# Everything lies in build/first-hour; the transcript is transcript.txt there. Nothing of this machine is changed.
set -euo pipefail
cd "$(dirname "$0")/../.."
before=$1
place=$PWD/build/first-hour
goods=$place/goods
mkdir -p "$goods"

# ---- what is prepared: a Debian, the packages of both versions, and what the register's wheels need

if [[ ! -e $place/debian/.whole ]]; then
  rm -rf "$place/debian"
  debootstrap --variant=minbase \
    --include=ca-certificates,containernetworking-plugins,curl,iproute2,iputils-ping,procps,python3,python3-venv \
    bookworm "$place/debian" >"$place/debootstrap.log"
  touch "$place/debian/.whole"
fi

build() { # NAME CHECKOUT: its wheel and its Debian package
  mkdir -p "$goods/$1"
  rm -rf "$goods/$1"/* "$2/dist"
  make -C "$2" deb >"$place/build-$1.log" 2>&1
  cp "$2"/dist/unipam_*.deb "$2"/build/deb/wheel/unipam-*.whl "$goods/$1"
  "$2/build/release/bin/python" -m pip download -q --no-deps --require-hashes -d "$goods/wheels" \
    -r "$2/deploy/requirements/machine.lock"
}

git worktree prune
if [[ $(git -C "$place/before" rev-parse HEAD 2>/dev/null) != $(git rev-parse "$before^{commit}") ]]; then
  rm -rf "$place/before"
  git worktree prune
  git worktree add -q --detach "$place/before" "$before"
fi
[[ -n $(ls "$goods/before"/*.deb 2>/dev/null) ]] || build before "$place/before"
git worktree remove --force "$place/before" 2>/dev/null || true
build now .
.venv/bin/python -m tests.first_hour.files "$goods"
cp tests/first_hour/node.sh tests/first_hour/register.sh tests/first_hour/person.sh "$goods"

# ---- the hour

play() { # SCRIPT: play one part on a machine of its own, over the Debian that was made
  unshare --mount --pid --net --uts --fork --kill-child /bin/bash -euo pipefail -c '
    mount --make-rprivate /
    mkdir -p "$1/stage"
    mount -t tmpfs none "$1/stage"
    mkdir "$1"/stage/{upper,work,root}
    mount -t overlay overlay -o "lowerdir=$1/debian,upperdir=$1/stage/upper,workdir=$1/stage/work" "$1/stage/root"
    cd "$1/stage/root"
    mount -t proc proc proc
    mount --rbind /dev dev
    mount -t sysfs sysfs sys
    mount -t tmpfs none run
    printf "quiet \"2\";\nDpkg::Use-Pty \"0\";\n" >etc/apt/apt.conf.d/99quiet
    mkdir srv/goods
    mount --bind "$1/goods" srv/goods
    ip link set lo up
    hostname node-1
    exec chroot . /usr/bin/env -i HOME=/root LANG=C.UTF-8 COLUMNS=120 DEBIAN_FRONTEND=noninteractive \
      PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin /bin/bash "/srv/goods/$2.sh"
  ' play "$place" "$1"
}

{
  echo "unipam $(git describe --always --dirty), upgraded from $(git describe --always "$before")"
  play node
  play register
} 2>&1 | tee "$place/transcript.txt"
