"""What the shell completes: commands, options, and names of what the line speaks of; by the real process."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest
from tests.cli.test_output import call
from tests.conftest import UNIPAM
from tests.server.process import clean_environment


def run(*words: object, **env: str) -> str:
    done = subprocess.run(
        [UNIPAM, *map(str, words)],
        env=clean_environment() | env,
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    return done.stdout


@pytest.fixture(scope="module")
def env(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    place = tmp_path_factory.mktemp("names")
    made = {"UNIPAM_DATABASE": str(place / "register.db"), "XDG_CONFIG_HOME": str(place),
            "UNIPAM_DATA_DIR": str(place)}  # fmt: skip
    for words in (
        "register init", "space add prod --desc d", "space add lab --desc d", "block add prod west 10.0.0.0/12",
        "block add prod north 10.16.0.0/12", "external add prod west dc --size 24 --desc d",
        "external subnet add prod west dc web --size 28 --desc d", "context add here --database register.db",
    ):  # fmt: skip
        run(*words.split(), **made)
    call("ADD", place, "c1", "shop/web-0")
    call("ADD", place, "c2", "kube-system/dns", "other")
    return made


@pytest.mark.parametrize(
    ("line", "names"),
    [
        ("unipam con", ["context", "controller"]),
        ("unipam space show ", ["lab", "prod"]),
        ("unipam space show p", ["prod"]),
        ("unipam block list ", ["lab", "prod"]),
        ("unipam block show prod ", ["north", "west"]),
        ("unipam block add prod apps 10.1.0.0/16 --parent w", ["west"]),
        ("unipam reservation add prod north w", ["west"]),
        ("unipam reservation list prod --block ", ["north", "west"]),
        ("unipam external show prod west ", ["dc"]),
        ("unipam external subnet show prod west dc ", ["web"]),
        ("unipam lease show shop/", ["shop/web-0"]),
        ("unipam lease list --pod k", ["kube-system/dns"]),
        ("unipam lease list --namespace ", ["kube-system", "shop"]),
        ("unipam pool show ", ["kubenet", "other"]),
        ("unipam explain kube", ["kube-system/dns"]),
        ("unipam space list --context ", ["here"]),
        ("unipam lease list -o c", ["csv"]),
        ("unipam lease list --sta", ["--state"]),
        ("unipam block show nothing ", []),
        ("unipam space show --database /nowhere ", []),
    ],
)
def test_a_line_is_completed(env: dict[str, str], line: str, names: list[str]) -> None:
    words = line.split(" ")
    asked = {"_UNIPAM_COMPLETE": "bash_complete", "COMP_WORDS": line, "COMP_CWORD": str(len(words) - 1)}
    assert [each.partition(",")[2] for each in run(**env, **asked).split()] == names


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_every_shell_has_its_script(shell: str) -> None:
    script = run("completion", shell)
    assert f"_UNIPAM_COMPLETE={shell}_complete" in script
    if shutil.which(shell):
        subprocess.run([shell, "-n"], input=script, text=True, check=True)


def test_bash_completes_a_name(env: dict[str, str], tmp_path: Path) -> None:
    typed = (
        'eval "$(unipam completion bash)"; COMP_WORDS=(unipam space show p); COMP_CWORD=3;'
        ' _unipam_completion unipam; echo "${COMPREPLY[@]}"'
    )
    path = {"PATH": f"{UNIPAM.parent}:/usr/bin:/bin"}
    done = subprocess.run(["bash", "--norc", "-c", typed], env=clean_environment() | env | path, capture_output=True,
                          text=True, check=True, timeout=60)  # fmt: skip
    assert done.stdout == "prod\n"
