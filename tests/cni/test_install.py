"""The launcher in a plugin directory: what stands there, before, meanwhile and after."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from unipam.cni import launcher
from unipam.cni.install import Change, install, renew, uninstall
from unipam.model.errors import InstallError

SOCKET = Path("/run/unipam/agent.sock")
ORIGINAL = b"#!/bin/sh\nexit 0\n"

CALLER = """
import os, sys
for _ in range(int(sys.argv[2])):
    _, status = os.waitpid(os.posix_spawn(sys.argv[1], [sys.argv[1]], {}), 0)
    if status:
        sys.exit(f"wait status {status}")
"""


@pytest.fixture
def bin_dir(tmp_path: Path) -> Path:
    directory = tmp_path / "bin"
    directory.mkdir()
    return directory


def original(bin_dir: Path, name: str = "host-local", content: bytes = ORIGINAL) -> Path:
    """A plugin of somebody else's, with a past."""
    path = bin_dir / name
    path.write_bytes(content)
    path.chmod(0o751)
    os.utime(path, ns=(1_500_000_000_123_456_789, 1_500_000_000_987_654_321))
    if os.geteuid() == 0:
        os.chown(path, 1234, 4321)
    return path


def picture(bin_dir: Path) -> dict[str, tuple[object, ...]]:
    """All that can be seen of the directory's files, and which file each is."""
    seen: dict[str, tuple[object, ...]] = {}
    for path in sorted(bin_dir.iterdir()):
        status = path.lstat()
        owner = (status.st_uid, status.st_gid)
        content = path.readlink() if path.is_symlink() else path.is_file() and path.read_bytes()
        seen[path.name] = (content, status.st_mode, owner, status.st_mtime_ns, status.st_ino)
    return seen


def actions(changes: list[Change]) -> dict[str, str]:
    return {change.plugin: change.action for change in changes}


# ---- install


def test_an_installed_launcher_knows_its_socket_and_its_interpreter(bin_dir: Path) -> None:
    changes = install(bin_dir, SOCKET, ["host-local", "calico-ipam"])
    assert actions(changes) == {"host-local": "install", "calico-ipam": "install"}
    assert sorted(picture(bin_dir)) == ["calico-ipam", "host-local"]
    for change in changes:
        assert change.kept is None
        assert launcher.is_launcher(change.path)
        assert change.path.stat().st_mode & 0o7777 == 0o755
        told = launcher.settings(change.path)
        assert told.socket == str(SOCKET)
        assert told.fallback == launcher.cold()


def test_the_former_plugin_is_kept_as_the_file_it_was(bin_dir: Path) -> None:
    path = original(bin_dir)
    before = picture(bin_dir)["host-local"]
    (change,) = install(bin_dir, SOCKET, ["host-local"])
    assert change == Change("host-local", "replace", path, bin_dir / "host-local.before-unipam")
    assert launcher.is_launcher(path)
    assert picture(bin_dir)["host-local.before-unipam"] == before


def test_installing_again_changes_nothing(bin_dir: Path) -> None:
    original(bin_dir)
    install(bin_dir, SOCKET, ["host-local"])
    before = picture(bin_dir)
    assert actions(install(bin_dir, SOCKET, ["host-local"])) == {"host-local": "unchanged"}
    assert picture(bin_dir) == before


def test_installing_with_another_socket_updates_and_keeps_the_first_original(bin_dir: Path) -> None:
    original(bin_dir)
    install(bin_dir, SOCKET, ["host-local"])
    kept = picture(bin_dir)["host-local.before-unipam"]
    assert actions(install(bin_dir, Path("/run/other"), ["host-local"])) == {"host-local": "update"}
    assert launcher.settings(bin_dir / "host-local").socket == "/run/other"
    assert picture(bin_dir)["host-local.before-unipam"] == kept


def test_renewing_keeps_each_socket_and_leaves_what_falls_back_on_another_interpreter(bin_dir: Path) -> None:
    original(bin_dir)
    install(bin_dir, SOCKET, ["host-local"])
    install(bin_dir, Path("/run/other.sock"), ["azure-vnet-ipam"])
    install(bin_dir, SOCKET, ["calico-ipam"], fallback=("/bin/true",))
    for name in ("host-local", "azure-vnet-ipam", "calico-ipam"):
        with (bin_dir / name).open("ab") as file:
            file.write(b"of an older version")
    older = (bin_dir / "calico-ipam").read_bytes()
    planned = renew(bin_dir, dry_run=True)
    assert (bin_dir / "host-local").read_bytes().endswith(b"version"), "a dry run does nothing"
    assert renew(bin_dir) == planned
    assert actions(planned) == {"azure-vnet-ipam": "update", "host-local": "update"}
    assert (bin_dir / "host-local").read_bytes() == launcher.configured(SOCKET, launcher.cold())
    assert launcher.settings(bin_dir / "azure-vnet-ipam").socket == "/run/other.sock"
    assert (bin_dir / "calico-ipam").read_bytes() == older
    assert (bin_dir / "host-local.before-unipam").read_bytes() == ORIGINAL
    assert actions(renew(bin_dir)) == {"azure-vnet-ipam": "unchanged", "host-local": "unchanged"}


def test_a_launcher_that_lost_its_mode_is_repaired(bin_dir: Path) -> None:
    install(bin_dir, SOCKET, ["host-local"])
    (bin_dir / "host-local").chmod(0o600)
    assert actions(install(bin_dir, SOCKET, ["host-local"])) == {"host-local": "update"}
    assert (bin_dir / "host-local").stat().st_mode & 0o777 == 0o755


def test_a_name_given_twice_is_installed_once(bin_dir: Path) -> None:
    assert len(install(bin_dir, SOCKET, ["host-local", "host-local"])) == 1


def test_the_same_plugin_brought_back_by_an_image_is_replaced_again(bin_dir: Path) -> None:
    original(bin_dir)
    install(bin_dir, SOCKET, ["host-local"])
    kept = picture(bin_dir)["host-local.before-unipam"]
    (bin_dir / "host-local").unlink()
    original(bin_dir)
    assert actions(install(bin_dir, SOCKET, ["host-local"])) == {"host-local": "replace"}
    assert picture(bin_dir)["host-local.before-unipam"] == kept


def test_another_plugin_never_costs_the_original_that_was_kept(bin_dir: Path) -> None:
    original(bin_dir)
    install(bin_dir, SOCKET, ["host-local"])
    (bin_dir / "host-local").unlink()
    original(bin_dir, content=b"#!/bin/sh\nexit 1\n")
    before = picture(bin_dir)
    with pytest.raises(InstallError, match="still holds the former one"):
        install(bin_dir, SOCKET, ["calico-ipam", "host-local"])
    assert picture(bin_dir) == before


def test_a_plugin_that_is_a_symbolic_link_is_kept_as_one(bin_dir: Path, tmp_path: Path) -> None:
    target = original(tmp_path, "elsewhere")
    (bin_dir / "host-local").symlink_to(target)
    before = picture(bin_dir)
    install(bin_dir, SOCKET, ["host-local"])
    assert launcher.is_launcher(bin_dir / "host-local")
    assert not (bin_dir / "host-local").is_symlink()
    assert target.read_bytes() == ORIGINAL
    uninstall(bin_dir)
    assert picture(bin_dir) == before


@pytest.mark.parametrize("name", ["", ".", "..", "a/b", "../x", "a\0b", "host-local.before-unipam"])
def test_what_is_no_plugin_name_is_refused(bin_dir: Path, name: str) -> None:
    with pytest.raises(InstallError, match="cannot be a plugin's name"):
        install(bin_dir, SOCKET, ["host-local", name])
    assert picture(bin_dir) == {}


@pytest.mark.parametrize(
    ("socket", "python", "why"),
    [
        ("agent.sock", sys.executable, "'agent.sock' is relative"),
        ("/" + "s" * 107, sys.executable, "not a path of at most 107 bytes"),
        ("/" + "ü" * 54, sys.executable, "not a path of at most 107 bytes"),
        ("/a\0b", sys.executable, "not a path"),
        ("/a", "", "'' cannot be run"),
        ("/a", "python", "'python' cannot be run"),
        ("/a", "/no/such/python", "'/no/such/python' cannot be run"),
        ("/a", "/" + "p" * 4096, r"not a path of at most \d+ bytes"),
        ("/a", "/py\0thon", "not a path"),
    ],
)
def test_unusable_paths_are_refused(bin_dir: Path, socket: str, python: str, why: str) -> None:
    original(bin_dir)
    before = picture(bin_dir)
    with pytest.raises(InstallError, match=why):
        install(bin_dir, Path(socket), ["host-local"], fallback=launcher.cold([python]))
    assert picture(bin_dir) == before


def test_the_longest_socket_path_is_read_back(bin_dir: Path) -> None:
    longest = Path("/" + "s" * 106)
    install(bin_dir, longest, ["host-local"])
    assert launcher.settings(bin_dir / "host-local").socket == str(longest)


@pytest.mark.parametrize(
    "act", [lambda path: install(path, SOCKET, ["x"]), renew, uninstall], ids=["install", "renew", "uninstall"]
)
def test_a_directory_that_is_none_is_one_line(tmp_path: Path, act) -> None:  # type: ignore[no-untyped-def]
    (tmp_path / "file").touch()
    for path, why in ((tmp_path / "absent", "No such file or directory"), (tmp_path / "file", "Not a directory")):
        with pytest.raises(InstallError, match=f"{path}: {why}; nothing was changed: "):
            act(path)


def test_a_directory_under_the_plugins_name_is_left_alone(bin_dir: Path) -> None:
    (bin_dir / "host-local").mkdir()
    with pytest.raises(InstallError, match="is a directory"):
        install(bin_dir, SOCKET, ["host-local"])
    assert (bin_dir / "host-local").is_dir()


def test_a_failed_installation_leaves_everything_as_it_was(bin_dir: Path) -> None:
    install(bin_dir, Path("/run/old"), ["a-older"])
    original(bin_dir, "b-foreign")
    before = picture(bin_dir)
    obstacle = bin_dir / ".d-last.unipam-new"  # a directory where the new file is to be written
    obstacle.mkdir()
    with pytest.raises(InstallError, match=r"d-last\.unipam-new: File exists; nothing was changed"):
        install(bin_dir, SOCKET, ["a-older", "b-foreign", "c-new", "d-last"])
    obstacle.rmdir()
    assert picture(bin_dir) == before


def test_a_planted_link_is_not_followed(bin_dir: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Planted before, it goes; planted in the very moment, it stops the installation."""
    victim = tmp_path / "victim"
    victim.write_bytes(b"not ours")
    link = bin_dir / ".host-local.unipam-new"
    original(bin_dir)
    before = picture(bin_dir)
    link.symlink_to(victim)
    install(bin_dir, SOCKET, ["host-local"])
    assert victim.read_bytes() == b"not ours"
    assert not link.is_symlink()
    uninstall(bin_dir)
    hold = os.link

    def plant(*paths: Path, **options: bool) -> None:
        hold(*paths, **options)
        link.unlink(missing_ok=True)
        link.symlink_to(victim)

    monkeypatch.setattr(os, "link", plant)
    with pytest.raises(InstallError, match=r"host-local\.unipam-new: File exists; nothing was changed"):
        install(bin_dir, SOCKET, ["host-local"])
    link.unlink()
    assert victim.read_bytes() == b"not ours"
    assert picture(bin_dir) == before


@pytest.mark.parametrize("name", ["a\nb", "a\r", "\x1b[2Ja", "a\0", "\udc80"])
def test_a_name_that_would_garble_what_is_printed_is_refused(bin_dir: Path, name: str) -> None:
    for act in (lambda: install(bin_dir, SOCKET, [name]), lambda: uninstall(bin_dir, [name])):
        with pytest.raises(InstallError, match="cannot be a plugin's name") as refused:
            act()
        assert str(refused.value).isprintable()
    assert list(bin_dir.iterdir()) == []


def test_a_dry_run_says_the_same_and_does_nothing(bin_dir: Path) -> None:
    original(bin_dir)
    before = picture(bin_dir)
    names = ["host-local", "calico-ipam"]
    said = install(bin_dir, SOCKET, names, dry_run=True)
    assert picture(bin_dir) == before
    assert install(bin_dir, SOCKET, names) == said
    after = picture(bin_dir)
    said = uninstall(bin_dir, dry_run=True)
    assert picture(bin_dir) == after
    assert uninstall(bin_dir) == said


# ---- uninstall


def test_uninstalling_puts_back_exactly_what_was_there(bin_dir: Path) -> None:
    original(bin_dir)
    original(bin_dir, "bridge", b"not ours to touch")
    before = picture(bin_dir)
    install(bin_dir, SOCKET, ["host-local", "calico-ipam"])
    install(bin_dir, Path("/run/other"), ["host-local"])
    assert actions(uninstall(bin_dir)) == {"host-local": "restore", "calico-ipam": "remove"}
    assert picture(bin_dir) == before
    assert uninstall(bin_dir) == []


def test_only_the_names_given_are_given_back(bin_dir: Path) -> None:
    install(bin_dir, SOCKET, ["host-local", "calico-ipam"])
    assert actions(uninstall(bin_dir, ["host-local", "other"])) == {"host-local": "remove", "other": "absent"}
    assert sorted(picture(bin_dir)) == ["calico-ipam"]


def test_what_is_not_ours_is_not_removed(bin_dir: Path) -> None:
    original(bin_dir, "bridge")
    install(bin_dir, SOCKET, ["host-local"])
    before = picture(bin_dir)
    with pytest.raises(InstallError, match="bridge is not a launcher of unipam: it is left as it is"):
        uninstall(bin_dir, ["host-local", "bridge"])
    assert picture(bin_dir) == before


def test_a_plugin_that_somebody_put_in_our_place_stays(bin_dir: Path) -> None:
    path = original(bin_dir)
    install(bin_dir, SOCKET, ["host-local"])
    path.unlink()
    path.write_bytes(b"newer")
    before = picture(bin_dir)
    with pytest.raises(InstallError, match=r"and so is .*host-local\.before-unipam"):
        uninstall(bin_dir, ["host-local"])
    assert uninstall(bin_dir) == []
    assert picture(bin_dir) == before


def test_the_original_comes_back_when_our_launcher_was_removed(bin_dir: Path) -> None:
    path = original(bin_dir)
    before = picture(bin_dir)
    install(bin_dir, SOCKET, ["host-local"])
    path.unlink()
    assert actions(uninstall(bin_dir)) == {"host-local": "restore"}
    assert picture(bin_dir) == before


def test_an_installation_that_was_killed_half_way_can_be_taken_back_or_finished(bin_dir: Path) -> None:
    """Killed after the original got its second name, and left its working files."""
    path = original(bin_dir)
    before = picture(bin_dir)

    def killed() -> None:
        os.link(path, bin_dir / "host-local.before-unipam")
        (bin_dir / ".host-local.unipam-new").write_bytes(b"half")
        os.link(path, bin_dir / ".host-local.unipam-held")

    killed()
    assert actions(uninstall(bin_dir)) == {"host-local": "restore"}
    assert picture(bin_dir)["host-local"] == before["host-local"]
    assert "host-local.before-unipam" not in picture(bin_dir)
    for left in bin_dir.glob(".*"):
        left.unlink()
    killed()
    install(bin_dir, SOCKET, ["host-local"])
    assert sorted(picture(bin_dir)) == ["host-local", "host-local.before-unipam"]
    uninstall(bin_dir)
    assert picture(bin_dir) == before


def test_a_failed_removal_leaves_everything_as_it_was(bin_dir: Path) -> None:
    original(bin_dir, "a-foreign")
    install(bin_dir, SOCKET, ["a-foreign", "b-new", "c-last"])
    before = picture(bin_dir)
    obstacle = bin_dir / ".c-last.unipam-held"  # a directory where a link is to be
    obstacle.mkdir()
    with pytest.raises(InstallError, match="nothing was changed"):
        uninstall(bin_dir)
    obstacle.rmdir()
    assert picture(bin_dir) == before


# ---- recognising


def test_only_a_launcher_is_one(bin_dir: Path) -> None:
    install(bin_dir, SOCKET, ["host-local"])
    content = (bin_dir / "host-local").read_bytes()
    (bin_dir / "link").symlink_to("host-local")
    (bin_dir / "text").write_bytes(content[1:])
    (bin_dir / "large").write_bytes(content + bytes(2 << 20))
    shutil.copy("/bin/sh", bin_dir / "sh")
    (bin_dir / "directory").mkdir()
    os.mkfifo(bin_dir / "fifo")
    found = [path.name for path in bin_dir.iterdir() if launcher.is_launcher(path)]
    assert found == ["host-local"]
    assert not launcher.is_launcher(bin_dir / "absent")
    with pytest.raises(InstallError, match="not a launcher"):
        launcher.settings(bin_dir / "sh")


# ---- meanwhile


def test_no_call_ever_fails_while_plugins_come_and_go(bin_dir: Path) -> None:
    """Processes of their own run the plugin all the time: text file busy, a missing or a half file would fail them."""
    path = bin_dir / "host-local"
    shutil.copy("/bin/true", path)
    callers = [
        subprocess.Popen([sys.executable, "-I", "-c", CALLER, path, "400"], stderr=subprocess.PIPE, text=True)
        for _ in range(2)
    ]
    flips = 0
    while any(caller.poll() is None for caller in callers):
        install(bin_dir, SOCKET, ["host-local"], fallback=["/bin/true"])
        install(bin_dir, Path("/run/other"), ["host-local"], fallback=["/bin/true"])
        uninstall(bin_dir)
        flips += 1
    assert [caller.communicate()[1] for caller in callers] == ["", ""]
    assert [caller.returncode for caller in callers] == [0, 0]
    assert flips > 1
    assert sorted(picture(bin_dir)) == ["host-local"]


def test_installers_at_the_same_time_wait_for_one_another(bin_dir: Path) -> None:
    original(bin_dir)
    before = picture(bin_dir)
    program = (
        "import sys, pathlib; from unipam.cni.install import install, uninstall\n"
        "for _ in range(20):\n"
        "    install(pathlib.Path(sys.argv[1]), pathlib.Path(sys.argv[2]), ['host-local', 'calico-ipam'])\n"
        "    uninstall(pathlib.Path(sys.argv[1]))\n"
    )
    installers = [
        subprocess.Popen([sys.executable, "-c", program, bin_dir, f"/run/{i}"], stderr=subprocess.PIPE, text=True)
        for i in range(3)
    ]
    assert [installer.communicate()[1] for installer in installers] == ["", "", ""]
    assert picture(bin_dir) == before
