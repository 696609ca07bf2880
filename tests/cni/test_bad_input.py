"""Whatever comes in: one CNI error with its cause, exit code 1, no traceback, nothing changed, within ten seconds.

Every call here has a hard limit of ten seconds (`tests.conftest.ANSWERED_WITHIN`). Calls whose configuration may have
lost its data directory are made where the default one is nobody's: in a mount namespace with an empty /var/lib.
"""

from __future__ import annotations

import copy
import fcntl
import json
import os
import shlex
import shutil
import socket
import sqlite3
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from tests.conftest import Agent, Plugin, Reply, environment, host_local

from unipam.store.sqlite import SqliteStore

POOL = {"subnet": "10.1.2.0/24"}
VALID = "cni.dev/valid-attachments"
VERBS = ("ADD", "DEL", "CHECK", "GC", "STATUS")
APART = ("unshare", "-m", "sh", "-c", 'mount -t tmpfs tmpfs /var/lib && exec "$@"', "sh")

Picture = dict[str, Any]


def judged(reply: Reply) -> Reply:
    """The reply, if it is one that a runtime can live with."""
    assert reply.code in (0, 1), reply
    assert b"Traceback" not in reply.stderr, reply
    if reply.code:
        assert not reply.error["msg"].startswith("internal error"), reply
        assert reply.stderr == b"", reply
    elif reply.stdout:
        assert json.loads(reply.stdout)["cniVersion"], reply
    return reply


def picture(data_dir: Path) -> Picture:
    """What the ledger holds: leases, cursors, journal."""
    if not (data_dir / "unipam.db").exists():
        return {}
    store = SqliteStore(str(data_dir / "unipam.db"))
    try:
        with store.reading() as tx:
            held = {name: (list(tx.claims(number)), tx.cursors(number)) for number, name in tx.spaces()}
            return {name: what for name, what in held.items() if what != ([], {})} | {"": tx.journal()}
    finally:
        store.close()


@pytest.fixture(scope="module")
def apart(short_dir: Callable[[], Path], installed: Callable[[Path], Plugin]) -> Iterator[Plugin]:
    """host-local with an agent that sees a /var/lib of its own."""
    if subprocess.run([*APART, "true"], capture_output=True, check=False).returncode:
        pytest.skip("needs root, and unshare of the Debian package util-linux")
    agent = Agent(short_dir(), within=APART)
    yield installed(agent.socket)
    assert agent.stop() == 0


@pytest.fixture(scope="module")
def apart_cold(apart: Plugin, short_dir: Callable[[], Path], cold: Plugin) -> Plugin:
    """The same without an agent."""
    script = short_dir() / "host-local"
    quoted = " ".join(f"'{word}'" for word in APART)
    script.write_text(f"#!/bin/sh\nPATH=/usr/bin:/bin:/usr/sbin:/sbin exec {quoted} '{cold.path}'\n")
    script.chmod(0o755)
    return Plugin(script)


@pytest.fixture(scope="module")
def data_dir(short_dir: Callable[[], Path], apart: Plugin) -> Path:
    """A ledger with a lease of c/eth0, for all the calls of this module that should not change it."""
    made = short_dir()
    assert apart("ADD", host_local(made, "1.1.0", [POOL]), "c").code == 0
    return made


# ---- any bytes on stdin

few = settings(max_examples=6, suppress_health_check=[HealthCheck.function_scoped_fixture])
many = settings(max_examples=400, suppress_health_check=[HealthCheck.function_scoped_fixture])

scalars = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=8)
documents = st.recursive(
    scalars,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=6), inner, max_size=3),
    max_leaves=8,
)
KEYS = (
    "cniVersion", "name", "ipam", "args", "runtimeConfig", "prevResult", VALID, "cni.dev/attachments", "dns",
    "ipam.ranges", "ipam.ranges.0", "ipam.ranges.0.0", "ipam.ranges.0.0.subnet", "ipam.ranges.0.0.gateway",
    "ipam.routes", "ipam.dataDir", "ipam.resolvConf", "ipam.cooldown", "ipam.duplicateAdd", "ipam.gcWithoutList",
    "ipam.statusOnExhaustion", "args.cni", "args.cni.ips", "runtimeConfig.ips", "runtimeConfig.ipRanges",
    "prevResult.ips",
)  # fmt: skip


def replaced(config: dict[str, Any], key: str, value: Any) -> dict[str, Any]:
    """The configuration with something else in one place."""
    made = copy.deepcopy(config)
    *way, last = key.split(".")
    holder: Any = made
    for step in way:
        holder = holder[int(step)] if isinstance(holder, list) else holder.setdefault(step, {})
    holder[int(last) if isinstance(holder, list) else last] = value
    return made


def scratched(text: bytes, at: int, size: int, put: bytes) -> bytes:
    """The text with some of its bytes replaced by others."""
    at %= len(text)
    return text[:at] + put + text[at + size :]


def stdins() -> st.SearchStrategy[Callable[[dict[str, Any]], bytes]]:
    """What may stand in the place of a configuration."""
    edits = st.lists(st.tuples(st.sampled_from(KEYS), documents), min_size=1, max_size=2)

    def edited(changes: list[tuple[str, Any]]) -> Callable[[dict[str, Any]], bytes]:
        def edit(config: dict[str, Any]) -> bytes:
            for key, value in changes:
                try:
                    config = replaced(config, key, value)
                except (TypeError, IndexError, KeyError, ValueError, AttributeError):
                    continue  # the first change took away the place of the second
            return json.dumps(config).encode()

        return edit

    scratch = st.tuples(st.integers(0, 10_000), st.integers(0, 4), st.binary(max_size=3))
    return st.one_of(
        st.binary(max_size=64).map(lambda stdin: lambda _: stdin),
        scratch.map(lambda how: lambda config: scratched(json.dumps(config).encode(), *how)),
        edits.map(edited),
    )


def unchanged_by_failure(cni: Plugin, data_dir: Path, stdin: bytes, env: dict[Any, Any]) -> None:
    before = picture(data_dir)
    if judged(cni.run(stdin, env, cwd=data_dir)).code:
        assert picture(data_dir) == before


@pytest.mark.real
@many
@given(verb=st.sampled_from(VERBS), make=stdins())
@example(verb="ADD", make=lambda config: b"[" * 100_000)
@example(verb="ADD", make=lambda config: b'{"name":"n","a":' + b"[" * 5000 + b"]" * 5000 + b"}")
@example(verb="DEL", make=lambda config: json.dumps(replaced(config, "ipam.dataDir", "a\0b")).encode())
@example(verb="ADD", make=lambda config: json.dumps(replaced(config, "ipam.dataDir", "a\0b")).encode())
@example(verb="ADD", make=lambda config: json.dumps(replaced(config, "ipam.dataDir", "x" * 300)).encode())
@example(verb="ADD", make=lambda config: json.dumps(replaced(config, "ipam.dataDir", "\ud800")).encode())
@example(verb="ADD", make=lambda config: json.dumps(replaced(config, "ipam.resolvConf", "a\0b")).encode())
@example(verb="ADD", make=lambda config: json.dumps(replaced(config, "ipam.cooldown", 10**30)).encode())
@example(verb="ADD", make=lambda config: json.dumps(replaced(config, "name", "n" * 5000)).encode())
def test_any_bytes_on_stdin(apart: Plugin, data_dir: Path, verb: str, make: Callable[[dict[str, Any]], bytes]) -> None:
    stdin = make(host_local(data_dir, "1.1.0", [POOL]))
    unchanged_by_failure(apart, data_dir, stdin, environment(verb, "c"))


@pytest.mark.real
@few
@given(verb=st.sampled_from(VERBS), make=stdins())
def test_any_bytes_on_stdin_cold(
    apart_cold: Plugin, data_dir: Path, verb: str, make: Callable[[dict[str, Any]], bytes]
) -> None:
    unchanged_by_failure(apart_cold, data_dir, make(host_local(data_dir, "1.1.0", [POOL])), environment(verb, "c"))


# ---- any environment

values = st.binary(max_size=24).map(lambda value: value.replace(b"\0", b"")) | st.sampled_from(
    [
        b"ADD",
        b"DEL",
        b"CHECK",
        b"GC",
        b"STATUS",
        b"VERSION",
        b"c",
        b"eth0",
        b"/",
        b"/proc/self/ns/net",
        b"IP=10.1.2.9",
        b"=",
        b";",
    ]
)
names = st.sampled_from([
    b"CNI_COMMAND", b"CNI_CONTAINERID", b"CNI_IFNAME", b"CNI_NETNS", b"CNI_ARGS", b"CNI_PATH", b"CNI_NETNS_OVERRIDE",
    b"UNIPAM_CALL", b"PYTHONPATH", b"PYTHONHOME", b"PYTHONSTARTUP", b"LD_PRELOAD", b"LC_ALL",
])  # fmt: skip
environments = st.dictionaries(names, values, max_size=5)


def mixed(verb: str, odd: dict[bytes, bytes]) -> dict[bytes, bytes]:
    usual = {name.encode(): value.encode() for name, value in environment(verb, "c").items()}
    return usual | odd


@pytest.mark.real
@many
@given(verb=st.sampled_from(VERBS), odd=environments)
@example(verb="ADD", odd={b"CNI_CONTAINERID": b"\xff"})
@example(verb="ADD", odd={b"CNI_CONTAINERID": b"d", b"CNI_NETNS": b"/\xff"})
@example(
    verb="ADD", odd={b"CNI_CONTAINERID": b"e", b"CNI_ARGS": b"IgnoreUnknown=1;K8S_POD_NAME=\xff;K8S_POD_NAMESPACE=\xfe"}
)
@example(verb="ADD", odd={b"CNI_ARGS": b"\xff"})
@example(verb="\udcff", odd={b"CNI_COMMAND": b"\xff"})
def test_any_environment(apart: Plugin, data_dir: Path, verb: str, odd: dict[bytes, bytes]) -> None:
    stdin = json.dumps(host_local(data_dir, "1.1.0", [POOL])).encode()
    env: dict[Any, Any] = mixed(verb, odd) if "\udcff" not in verb else odd
    unchanged_by_failure(apart, data_dir, stdin, env)


@pytest.mark.real
@few
@given(verb=st.sampled_from(VERBS), odd=environments)
@example(verb="ADD", odd={b"CNI_CONTAINERID": b"f", b"CNI_NETNS": b"/\xff", b"PYTHONHOME": b"/x", b"PYTHONPATH": b"/y"})
def test_any_environment_cold(apart_cold: Plugin, data_dir: Path, verb: str, odd: dict[bytes, bytes]) -> None:
    stdin = json.dumps(host_local(data_dir, "1.1.0", [POOL])).encode()
    kept = {name: value for name, value in odd.items() if name != b"LD_PRELOAD"}  # it is the linker's complaint
    unchanged_by_failure(apart_cold, data_dir, stdin, mixed(verb, kept))


# ---- a ledger that is none


def garbage(ledger: Path) -> None:
    ledger.write_bytes(b"This is not a ledger." * 4096)


def cut_short(ledger: Path) -> None:
    sqlite3.connect(ledger).execute("PRAGMA wal_checkpoint(TRUNCATE)").connection.close()
    os.truncate(ledger, 5000)


def foreign(ledger: Path) -> None:
    ledger.unlink()
    connection = sqlite3.connect(ledger)
    connection.execute("CREATE TABLE mine (a)")
    connection.close()


def of_the_future(ledger: Path) -> None:
    connection = sqlite3.connect(ledger)
    connection.execute("PRAGMA user_version = 999")
    connection.close()


def without_a_table(ledger: Path) -> None:
    connection = sqlite3.connect(ledger)
    connection.execute("DROP TABLE claim")
    connection.close()


def directory(ledger: Path) -> None:
    ledger.unlink()
    ledger.mkdir()


def pipe(ledger: Path) -> None:
    ledger.unlink()
    os.mkfifo(ledger)


def loop(ledger: Path) -> None:
    ledger.unlink()
    ledger.symlink_to(ledger)


def dangling(ledger: Path) -> None:
    ledger.unlink()
    ledger.symlink_to(ledger.parent / "no" / "where")


def device(ledger: Path) -> None:
    ledger.unlink()
    ledger.symlink_to("/dev/null")


def listening(ledger: Path) -> None:
    ledger.unlink()
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(os.path.relpath(ledger))


def odd_log(ledger: Path) -> None:
    (ledger.parent / "unipam.db-wal").mkdir()


SWALLOWED = {"not found", "no such file or directory"}
"""What go-cni takes for a success in the message of a DEL (spec §5.4)."""

LEDGERS = [
    garbage, cut_short, foreign, of_the_future, without_a_table, directory, pipe, loop, dangling, device, listening,
    odd_log,
]  # fmt: skip


@pytest.mark.parametrize("spoil", LEDGERS, ids=lambda spoil: spoil.__name__)
def test_a_ledger_that_is_none(
    cni: Plugin, cold: Plugin, tmp_path: Path, spoil: Callable[[Path], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    config = host_local(tmp_path, "1.1.0", [POOL])
    assert cold("ADD", config, "c").code == 0
    sqlite3.connect(tmp_path / "unipam.db").execute("PRAGMA wal_checkpoint(TRUNCATE)").connection.close()
    spoil(tmp_path / "unipam.db")
    before = contents(tmp_path)
    for verb in VERBS:
        reply = judged(cni(verb, {**config, VALID: None}, "c"))
        assert reply.code == 1, verb
        error = reply.error
        assert error["code"] == (50 if verb == "STATUS" else 5), verb
        assert str(tmp_path) in error["msg"], verb
        assert not any(phrase in error["msg"] for phrase in SWALLOWED), verb
    assert contents(tmp_path) == before


def contents(path: Path) -> dict[str, Any]:
    """The files of a directory, as far as they can be read, without those that are kept beside a ledger."""
    plain = {file.name: file.read_bytes() for file in path.iterdir() if file.is_file() and not file.is_symlink()}
    rest = {file.name: file.lstat().st_mode for file in path.iterdir() if file.name not in plain}
    beside = ("unipam.db-wal", "unipam.db-shm", "unipam.db-reserve")
    return {name: what for name, what in (plain | rest).items() if name not in beside}


Elsewhere = Callable[[str], Plugin]


@pytest.fixture(params=["agent", "cold"])
def elsewhere(request: pytest.FixtureRequest, short_dir: Callable[[], Path], cold: Plugin) -> Elsewhere:
    """host-local in a mount namespace that a shell script has prepared; with an agent in there, or without."""
    request.getfixturevalue("apart")  # skips where there are no mount namespaces

    def elsewhere(script: str) -> Plugin:
        within = ("unshare", "-m", "sh", "-c", script + ' && exec "$@"', "sh")
        if request.param == "agent":
            agent = request.getfixturevalue("start_agent")(within=within)
            plugin: Plugin = request.getfixturevalue("installed")(agent.socket)
            return plugin
        wrapper = short_dir() / "host-local"
        wrapper.write_text(f"#!/bin/sh\nexec {shlex.join(within)} {cold.path}\n")
        wrapper.chmod(0o755)
        return Plugin(wrapper)

    return elsewhere


FILL = "cp {1}/unipam.db {0}; dd if=/dev/zero of={0}/rest 2>/dev/null; true"
FULL = "mount -t tmpfs -o size=64k,mode=755 tmpfs {0} && { " + FILL + "; }"
READ_ONLY = "mount --bind {1} {0} && mount -o remount,bind,ro {0}"


@pytest.mark.real
@pytest.mark.parametrize(("script", "word"), [(READ_ONLY, "made"), (FULL, "space")], ids=["read-only", "full"])
def test_a_file_system_that_takes_nothing(
    elsewhere: Elsewhere, cold: Plugin, tmp_path: Path, script: str, word: str
) -> None:
    place, real = tmp_path / "place", tmp_path / "real"
    place.mkdir()
    assert cold("ADD", host_local(real, "1.1.0", [POOL]), "c").code == 0
    before = picture(real)
    cni = elsewhere(script.replace("{0}", str(place)).replace("{1}", str(real)))
    for verb, container in (("ADD", "d"), ("DEL", "c"), ("STATUS", "c")):
        config = host_local(place, "1.1.0", [POOL])
        error = judged(cni(verb, config, container, env={"PATH": os.environ["PATH"]})).error
        assert error["code"] == (50 if verb == "STATUS" else 5), error
        assert word in error["msg"].lower(), error
        assert str(place) in error["msg"], error
    assert picture(real) == before


# ---- host-local's directory, when it is not as host-local leaves it


def put_pipe(network: Path) -> None:
    os.mkfifo(network / "10.1.2.9")


def put_directory(network: Path) -> None:
    (network / "10.1.2.9" / "deep").mkdir(parents=True)


def put_loop(network: Path) -> None:
    (network / "10.1.2.9").symlink_to("10.1.2.9")


def put_dangling(network: Path) -> None:
    (network / "10.1.2.9").symlink_to("nowhere")


def put_endless(network: Path) -> None:
    (network / "10.1.2.9").symlink_to("/dev/zero")


def put_huge(network: Path) -> None:
    (network / "10.1.2.9").touch()
    os.truncate(network / "10.1.2.9", 1 << 40)


def put_odd_names(network: Path) -> None:
    for name in (
        b"\xff\xfe",
        b"10.1.2.9\n",
        b"10.1.2.09",
        b"fe80::1%eth0",
        b" ",
        b"...",
        b"last_reserved_ip.",
        b"\xe2\x98\x83",
    ):
        (Path(os.fsdecode(os.fsencode(network) + b"/" + name))).write_bytes(b"c\r\neth0")


def put_odd_cursors(network: Path) -> None:
    for name, text in (("0", b"\xff"), ("1", b""), ("x", b"10.1.2.9"), ("9" * 40, b"10.1.2.9"), ("-1", b"10.1.2.9")):
        (network / f"last_reserved_ip.{name}").write_bytes(text)
    (network / "last_reserved_ip.2").mkdir()


def put_odd_contents(network: Path) -> None:
    texts = (b"\xff\xfe\r\n\xff", b"\0", b"a\r\nb\r\nc", b"\r\n", b"\n\n", b"x" * 70_000, "☃\r\neth0".encode())
    for n, text in enumerate(texts, start=20):
        (network / f"10.1.2.{n}").write_bytes(text)


def lock_is_a_pipe(network: Path) -> None:
    (network / "lock").unlink()
    os.mkfifo(network / "lock")


def lock_is_a_file_without_rights(network: Path) -> None:
    (network / "lock").chmod(0)


HARMLESS = [
    put_pipe, put_directory, put_loop, put_dangling, put_huge, put_endless, put_odd_names, put_odd_cursors,
    put_odd_contents, lock_is_a_pipe, lock_is_a_file_without_rights,
]  # fmt: skip


@pytest.fixture
def network(tmp_path: Path) -> Path:
    """A directory of host-local's with one lease, 10.1.2.2 of c/eth0."""
    made = tmp_path / "mynet"
    made.mkdir()
    (made / "10.1.2.2").write_bytes(b"c\r\neth0")
    (made / "lock").touch()
    return made


@pytest.mark.parametrize("put", HARMLESS, ids=lambda put: put.__name__)
def test_oddities_in_a_lease_directory_do_no_harm(
    cni: Plugin, tmp_path: Path, network: Path, put: Callable[[Path], None]
) -> None:
    put(network)
    config = host_local(tmp_path, "1.1.0", [POOL])
    assert judged(cni("CHECK", config, "c")).silent, "the lease beside it was taken over"
    assert judged(cni("ADD", config, "d")).addresses == ["10.1.2.3/24"]
    assert judged(cni("DEL", config, "c")).silent


def lock_is_a_directory(network: Path) -> None:
    (network / "lock").unlink()
    (network / "lock").mkdir()


def lock_is_a_loop(network: Path) -> None:
    (network / "lock").unlink()
    (network / "lock").symlink_to("lock")


@pytest.mark.parametrize("put", [lock_is_a_directory, lock_is_a_loop], ids=lambda put: put.__name__)
def test_a_lease_directory_that_cannot_be_locked_is_not_taken_over(
    cni: Plugin, tmp_path: Path, network: Path, put: Callable[[Path], None]
) -> None:
    put(network)
    config = host_local(tmp_path, "1.1.0", [POOL])
    for verb in ("ADD", "CHECK", "DEL"):
        error = judged(cni(verb, config, "c")).error
        assert error["code"] == 5
        assert str(network) in error["msg"]
    for file in ("10.1.2.2", "lock"):
        assert (network / file).is_symlink() or (network / file).exists()
    assert not (network / "unipam.adopted").exists()


@pytest.mark.parametrize("verb", ["ADD", "DEL"])
def test_a_lease_directory_that_stays_locked(
    warm: Plugin, cold: Plugin, tmp_path: Path, network: Path, verb: str
) -> None:
    config, cni = host_local(tmp_path, "1.1.0", [POOL]), warm if verb == "ADD" else cold
    with (network / "lock").open() as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        error = judged(cni(verb, config, "c")).error
        assert error["code"] == 11
        assert error["msg"] == f"host-local's lock {network}/lock is held by another process: try again"
    assert cni("CHECK", config, "c").silent, "once it is let go of, the lease is taken over"


def is_a_file(network: Path) -> None:
    shutil.rmtree(network)
    network.write_text("")


def is_a_pipe(network: Path) -> None:
    shutil.rmtree(network)
    os.mkfifo(network)


def is_a_loop(network: Path) -> None:
    shutil.rmtree(network)
    network.symlink_to(network)


@pytest.mark.parametrize("put", [is_a_file, is_a_pipe, is_a_loop], ids=lambda put: put.__name__)
def test_what_is_no_lease_directory_is_not_looked_at(
    cni: Plugin, tmp_path: Path, network: Path, put: Callable[[Path], None]
) -> None:
    put(network)
    config = host_local(tmp_path, "1.1.0", [POOL])
    assert judged(cni("ADD", config, "c")).addresses == ["10.1.2.2/24"]
    assert judged(cni("DEL", config, "c")).silent


# ---- places that cannot be


PLACES = [
    ("{}/file", "mkdir {}/file: file exists"),
    ("{}/file/below", "mkdir {}/file/below: not a directory"),
    ("{}/loop/below", "mkdir {}/loop/below: too many levels of symbolic links"),
    ("{}/" + "x" * 300, "mkdir {}/" + "x" * 300 + ": file name too long"),
    ("/proc/none/such", "mkdir /proc/none/such: no such file or directory"),
    ("a\0b", "dataDir holds a NUL character, which no path can: give another"),
]


@pytest.mark.parametrize(("place", "message"), PLACES)
def test_a_data_directory_that_cannot_be(cni: Plugin, tmp_path: Path, place: str, message: str) -> None:
    (tmp_path / "file").write_text("mine")
    (tmp_path / "loop").symlink_to("loop")
    config = host_local(Path(), "1.1.0", [POOL])
    config["ipam"]["dataDir"] = place.format(tmp_path)
    assert judged(cni("ADD", config)).error["msg"] == message.format(tmp_path)
    assert sorted(file.name for file in tmp_path.iterdir()) == ["file", "loop"]
    assert (tmp_path / "file").read_text() == "mine"


def test_a_relative_data_directory_of_a_caller_whose_directory_is_gone(cni: Plugin, tmp_path: Path) -> None:
    config = host_local(Path("state"), "1.0.0", [POOL])
    gone = tmp_path / "gone"
    gone.mkdir()
    script = f'cd "{gone}" && rmdir "{gone}" && exec "{cni.path}"'
    done = subprocess.run(
        ["/bin/sh", "-c", script],
        input=json.dumps(config).encode(),
        env=environment("ADD"),
        capture_output=True,
        check=False,
    )
    error = judged(Reply(done.returncode, done.stdout, done.stderr)).error
    assert error["msg"] == "dataDir state is relative, and the caller's directory is gone: give an absolute path"


# ---- resolvConf


def test_a_resolver_configuration_that_never_ends(cni: Plugin, tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "huge").touch()
    os.truncate(tmp_path / "huge", 1 << 40)
    for path, message in (
        ("/dev/zero", "read /dev/zero: more than 1048576 bytes: name a resolver configuration file"),
        (f"{tmp_path}/huge", f"read {tmp_path}/huge: more than 1048576 bytes: name a resolver configuration file"),
        (str(tmp_path), f"read {tmp_path}: is a directory"),
        ("a\0b", "open a\0b: invalid argument"),
        (f"{tmp_path}/none", f"open {tmp_path}/none: no such file or directory"),
    ):
        config = host_local(tmp_path / "data", "1.0.0", [POOL], resolvConf=path)
        assert judged(cni("ADD", config)).error["msg"] == message
    assert not (tmp_path / "data").exists()
    config = host_local(tmp_path / "data", "1.0.0", [POOL], resolvConf=f"{tmp_path}/pipe")
    assert "dns" not in judged(cni("ADD", config)).result
