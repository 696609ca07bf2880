"""The real `nodeipam` of kube-controller-manager, where somebody brought it (UNIPAM_KUBE_CONTROLLER_MANAGER)."""

from __future__ import annotations

import os
import ssl
import subprocess
import time
import urllib.request
from collections import Counter
from pathlib import Path

import pytest
from tests.real import etcd, kube_apiserver

BINARY = os.environ.get("UNIPAM_KUBE_CONTROLLER_MANAGER", "")
_WHY = kube_apiserver.WHY or (
    "" if BINARY else "UNIPAM_KUBE_CONTROLLER_MANAGER names no kube-controller-manager (1.33.5 was met)"
)
brought = [pytest.mark.real, pytest.mark.brought, pytest.mark.skipif(bool(_WHY), reason=_WHY)]
_STARTS_WITHIN = 60.0


class Nodeipam:
    """kube-controller-manager with this one controller."""

    def __init__(self, kubeconfig: Path, directory: Path) -> None:
        self._kubeconfig, self._directory = kubeconfig, directory
        self.log = directory / "kube-controller-manager.log"
        self.process: subprocess.Popen[bytes] | None = None

    def start(self, *flags: str) -> None:
        """Start it, and wait until it works; also when it ends at once."""
        (self._port,) = etcd.free_ports(1)
        command = [
            BINARY, "--kubeconfig", str(self._kubeconfig), "--controllers=node-ipam-controller", "--leader-elect=false",
            "--bind-address=127.0.0.1", f"--secure-port={self._port}", "--cert-dir", str(self._directory / "certs"),
            "--authorization-always-allow-paths=/healthz,/metrics", "--allocate-node-cidrs",
            "--configure-cloud-routes=false", "--v=4", *flags,
        ]  # fmt: skip
        with self.log.open("wb") as log:
            self.process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        deadline = time.monotonic() + _STARTS_WITHIN
        while self.process.poll() is None and b"Caches are synced" not in self.log.read_bytes():
            assert time.monotonic() < deadline, self.log.read_text()
            time.sleep(0.02)

    def stop(self) -> None:
        """End it, if it runs."""
        if self.process is not None and self.process.poll() is None:
            self.process.kill()
            self.process.wait()

    def ended(self) -> tuple[int, str]:
        """Its exit code and its log, once it has ended by itself."""
        assert self.process is not None
        return self.process.wait(_STARTS_WITHIN), self.log.read_text()

    def metrics(self) -> dict[str, Counter[str]]:
        """Its own metrics: by name, by the cluster's range."""
        url = f"https://127.0.0.1:{self._port}/metrics"
        with urllib.request.urlopen(url, timeout=30, context=ssl._create_unverified_context()) as answer:
            lines = [line for line in answer.read().decode().splitlines() if line.startswith("node_ipam_controller_")]
        found: dict[str, Counter[str]] = {}
        for line in lines:
            name, _, rest = line.partition('{clusterCIDR="')
            if rest and '",' not in rest:
                prefix, _, value = rest.partition('"} ')
                found.setdefault(name, Counter())[prefix] = float(value)  # type: ignore[assignment]
        return found

    def releases(self) -> float:
        """How many ranges it has taken back."""
        return sum(self.metrics().get("node_ipam_controller_cidrset_cidrs_releases_total", Counter()).values())
