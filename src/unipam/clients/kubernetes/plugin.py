"""Credentials that a program gives: the `exec` of a kubeconfig's user (client.authentication.k8s.io)."""

from __future__ import annotations

import base64
import json
import os
import subprocess
from typing import Any

from unipam.model.errors import BadValue

_WITHIN = 60
"""Seconds: it may ask a person's identity provider, but not a person."""


def run(described: dict[str, Any], kubeconfig: str) -> dict[str, Any]:
    """Run the program; return what it shows, with the names that a kubeconfig's user has for it. Raises BadValue."""
    version = described.get("apiVersion", "client.authentication.k8s.io/v1")
    asked = {"apiVersion": version, "kind": "ExecCredential", "spec": {"interactive": False}}
    given = {each["name"]: each["value"] for each in described.get("env") or ()}
    environment = {**os.environ, **given, "KUBERNETES_EXEC_INFO": json.dumps(asked)}
    command = [str(described.get("command", "")), *(described.get("args") or ())]
    try:
        done = subprocess.run(
            command,
            env=environment,
            cwd=os.path.dirname(kubeconfig) or None,
            capture_output=True,
            timeout=_WITHIN,
            check=True,
        )
        status = json.loads(done.stdout)["status"]
    except (OSError, subprocess.SubprocessError, ValueError, KeyError, TypeError) as error:
        said = getattr(error, "stderr", None) or b""
        message = f"{kubeconfig}: its credentials plugin {command[0]} failed: {error} {said.decode(errors='replace')}"
        raise BadValue(message.strip(), field="kubeconfig", value=kubeconfig) from error
    shown = {"token": status.get("token", "")}
    for name, field in (("client-certificate-data", "clientCertificateData"), ("client-key-data", "clientKeyData")):
        if status.get(field):
            shown[name] = base64.b64encode(status[field].encode()).decode()
    return shown
