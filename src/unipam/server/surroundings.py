"""Where the register runs, as `GET /api/status` tells it, found out as the Azure IPAM application does.

Specified in spec azure-ipam-application §2.6.
"""

from __future__ import annotations

import os
import platform
from collections.abc import Mapping

PROCESS = "Process"
"""What the application calls "Unknown": neither an Azure service nor a container, so a plain process."""

DOCKER_MARK = "/.dockerenv"
"""A file that Docker puts into every container."""


def stack(environ: Mapping[str, str], mark: str = DOCKER_MARK) -> str:
    """Return the kind of place: an Azure App Service or Function, a container's host, or a plain process."""
    if environ.get("WEBSITE_SITE_NAME"):
        return _app_service(environ)
    if environ.get("CONTAINER_APP_HOSTNAME"):
        return "ContainerApp"
    if environ.get("KUBERNETES_SERVICE_HOST"):
        return "Kubernetes"
    return "Docker" if os.path.exists(mark) else PROCESS


def _app_service(environ: Mapping[str, str]) -> str:
    how = environ.get("WEBSITE_STACK")
    if not how:
        return "LegacyCompose"
    what = "Function" if environ.get("FUNCTIONS_WORKER_RUNTIME") else "App"
    return what + ("Container" if how == "DOCKER" else "Native")


def container(environ: Mapping[str, str], mark: str = DOCKER_MARK) -> dict[str, str] | None:
    """Return what the image that we run from is built on (os-release(5)); None when we run from none."""
    inside = environ.get("WEBSITE_STACK") == "DOCKER" or environ.get("KUBERNETES_SERVICE_HOST") or os.path.exists(mark)
    if not inside:
        return None
    try:
        image = platform.freedesktop_os_release()
    except OSError:  # an image without a distribution
        image = {}
    fields = {"id": "ID", "version": "VERSION_ID", "codename": "VERSION_CODENAME", "pretty_name": "PRETTY_NAME"}
    return {f"image_{ours}": image.get(theirs, "") for ours, theirs in fields.items()}
