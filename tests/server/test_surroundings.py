"""Where a register says that it runs, in the Azure IPAM API's status."""

from __future__ import annotations

import json
import platform
from pathlib import Path

import pytest
from tests.server.live import Client, serve
from tests.server.process import Process

from unipam.server.surroundings import container, stack


@pytest.mark.parametrize(
    ("environ", "name"),
    [
        ({}, "Process"),
        ({"WEBSITE_SITE_NAME": "s", "WEBSITE_STACK": "DOCKER"}, "AppContainer"),
        ({"WEBSITE_SITE_NAME": "s", "WEBSITE_STACK": "PYTHON"}, "AppNative"),
        ({"WEBSITE_SITE_NAME": "s"}, "LegacyCompose"),
        (
            {"WEBSITE_SITE_NAME": "s", "WEBSITE_STACK": "DOCKER", "FUNCTIONS_WORKER_RUNTIME": "python"},
            "FunctionContainer",
        ),
        (
            {"WEBSITE_SITE_NAME": "s", "WEBSITE_STACK": "PYTHON", "FUNCTIONS_WORKER_RUNTIME": "python"},
            "FunctionNative",
        ),
        ({"CONTAINER_APP_HOSTNAME": "h", "KUBERNETES_SERVICE_HOST": "10.0.0.1"}, "ContainerApp"),
        ({"KUBERNETES_SERVICE_HOST": "10.0.0.1"}, "Kubernetes"),
    ],
)
def test_the_place_is_found_out_as_the_original_does(environ: dict[str, str], name: str, tmp_path: Path) -> None:
    assert stack(environ, str(tmp_path / "no mark")) == name


def test_docker_leaves_a_mark(tmp_path: Path) -> None:
    mark = tmp_path / "mark"
    assert container({}, str(mark)) is None
    mark.touch()
    assert stack({}, str(mark)) == "Docker"
    assert container({}, str(mark)) is not None


def test_a_container_is_described_by_what_its_image_is_built_on() -> None:
    image = platform.freedesktop_os_release()
    found = container({"KUBERNETES_SERVICE_HOST": "10.0.0.1"})
    assert found is not None
    assert (found["image_id"], found["image_pretty_name"]) == (image["ID"], image["PRETTY_NAME"])
    assert sorted(found) == ["image_codename", "image_id", "image_pretty_name", "image_version"]


def test_status_tells_it_and_an_option_overrides_it(tmp_path: Path) -> None:
    running = Process(str(tmp_path / "r.db"), tmp_path, "--stack", "AppContainer", KUBERNETES_SERVICE_HOST="10.0.0.1")
    try:
        told = Client(running.port).get("/status").json
    finally:
        assert running.end() == 0
    assert told["stack"] == "AppContainer"
    assert told["container"]["image_id"] == platform.freedesktop_os_release()["ID"]


def test_on_kubernetes_status_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KUBERNETES_SERVICE_HOST", "10.0.0.1")
    with serve(str(tmp_path / "r.db"), tmp_path) as live:
        told = json.loads(live.admin.as_("").get("/status").body)
    assert told["stack"] == "Kubernetes"
    assert told["container"]["image_pretty_name"] == platform.freedesktop_os_release()["PRETTY_NAME"]
