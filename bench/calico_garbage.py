"""One look for Calico's garbage over 1,000 nodes and 60,000 leases, and the reads that ten thousand leaks cost.

The controller runs in a process of its own, against a real etcd and a server on loopback that answers for pods and
nodes, page by page. Calico's own controller asks for each leaked pod once more; that is what reads are compared with.
"""

from __future__ import annotations

import contextlib
import json
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, ClassVar
from urllib.parse import parse_qs, urlsplit

import yaml
from tests.real import etcd

from bench.needs import program
from bench.table import Row, show
from unipam.addr.prefix import Prefix, format_address, parse_prefix
from unipam.clients.etcd.client import Etcd
from unipam.clients.etcd.settings import Settings
from unipam.dialects.calico.datastore.api import Create, Document
from unipam.dialects.calico.datastore.etcd import EtcdDatastore
from unipam.dialects.calico.datastore.keys import AffinityKey, BlockKey, HandleKey, Key, NodeKey, PoolKey
from unipam.dialects.calico.documents.affinity import CONFIRMED, Affinity
from unipam.dialects.calico.documents.handle import Handle
from unipam.dialects.calico.rules.blocks import Holder, assign, create

NODES, LEASES, LEAKS = 1_000, 60, 10_000
PAGE = 1_000
NEEDS = (program("etcd", "etcd-server", "every row"),)

LOOK = """
import contextlib, json, resource, sys, time
from unipam.clients.etcd.client import Etcd
from unipam.clients.etcd.settings import Settings
from unipam.clients.kubernetes.api import KubernetesApi
from unipam.controllers.calico.controller import CalicoGarbage
from unipam.controllers.term import Term
from unipam.dialects.calico.datastore.etcd import EtcdDatastore
from unipam.dialects.calico.rules.garbage import Policy

reads = 0

def counted(of, *names):
    def count(method):
        def called(*args, **more):
            global reads
            reads += 1
            return method(*args, **more)
        return called
    for name in names:
        setattr(of, name, count(getattr(of, name)))

kubeconfig, endpoints = sys.argv[1:]
counted(EtcdDatastore, "get", "list")
counted(KubernetesApi, "get")
api, term = KubernetesApi(kubeconfig), Term(600.0)
store = EtcdDatastore(Etcd(Settings(tuple(endpoints.split(",")))))
garbage = CalicoGarbage(store, api, lambda *_, **__: None, Policy(grace=0.0))
def look():
    began = time.monotonic()
    observed = garbage.observe(term)
    found = garbage.desired(observed, time.time())
    return time.monotonic() - began, observed, found
anew, observed, found = look()
garbage._earliest = 0.0
warm, observed, found = look()
peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
cpu, first, began = time.process_time(), reads, time.monotonic()
done = garbage.carry_out(found, term)
print(json.dumps({
    "anew": anew, "warm": warm, "peak": peak, "leaks": len(found.leaks), "released": len(done.released),
    "leases": sum(len(each.leases) for each in observed.seen.blocks.values()), "first": first,
    "reads": reads - first, "seconds": time.monotonic() - began, "cpu": cpu,
    "after": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
}))
term.end()
garbage.close()
api.close()
"""


def pod_of(number: int) -> str:
    """Return a pod's name: as long as those of Deployments are."""
    return f"web-frontend-7589bfc48b-{number:05d}"


def node_of(number: int) -> str:
    """Return a node's name."""
    return f"aks-nodepool1-64104225-vmss{number:06d}"


def prefix_of(node: int) -> Prefix:
    """Return a node's block."""
    first = parse_prefix("10.0.0.0/10").first + 64 * node
    return Prefix(first, 96 + 26)


def documents() -> Iterator[tuple[Key, Document]]:
    """Yield Calico's documents."""
    yield PoolKey("p"), {"metadata": {"name": "p"}, "spec": {"cidr": "10.0.0.0/10", "blockSize": 26}}
    for node in range(NODES):
        name, prefix = node_of(node), prefix_of(node)
        spec = {"orchRefs": [{"nodeName": name, "orchestrator": "k8s"}]}
        yield NodeKey(name), {"metadata": {"name": name}, "spec": spec}
        yield AffinityKey(name, str(prefix)), Affinity(CONFIRMED).document()
        block = create(prefix, f"host:{name}", time.time_ns())
        for at in range(LEASES):
            pod, handle = pod_of(LEASES * node + at), f"k8s-pod-network.{LEASES * node + at:064x}"
            attributes = {
                "namespace": "default", "node": name, "pod": pod, "timestamp": "2026-09-01 12:00:01.1 +0000 UTC",
            }  # fmt: skip
            assign(block, prefix.first + at, Holder(f"host:{name}", handle, attributes), strict=False)
            yield HandleKey(handle), Handle({str(prefix): 1}).document()
        yield BlockKey(str(prefix)), block.document()


def fill(store: EtcdDatastore) -> None:
    """Write Calico's documents, many at once."""
    batch: list[Create] = []
    for key, document in documents():
        batch.append(Create(key, document))
        if len(batch) == 100 or isinstance(key, BlockKey):
            store.transact(tuple(batch), etcd.soon(60))
            batch.clear()


def pod(number: int) -> dict[str, Any]:
    """Return a pod as an API server has it, with what a usual one says."""
    node, at = divmod(number, LEASES)
    address = format_address(prefix_of(node).first + at)
    variables = [{"name": f"VARIABLE_{each}", "value": "x"} for each in range(20)]
    conditions = [{"type": f"C{each}", "lastTransitionTime": "2026-09-01T12:00:00Z"} for each in range(5)]
    managed: dict[str, Any] = {f"f:field-{each}": {} for each in range(40)}
    return {
        "metadata": {
            "name": pod_of(number), "namespace": "default", "uid": f"{number:032x}", "resourceVersion": "7",
            "labels": {"app": "web-frontend", "pod-template-hash": "7589bfc48b"},
            "annotations": {f"cni.projectcalico.org/podIP{s}": f"{address}/32" for s in ("", "s")},
            "managedFields": [{"manager": "kubelet", "fieldsV1": managed}],
        },
        "spec": {
            "nodeName": node_of(node), "containers": [{"name": "c", "image": "example/web:1", "env": variables}],
        },
        "status": {
            "phase": "Running", "podIP": address, "podIPs": [{"ip": address}], "conditions": conditions,
        },
    }  # fmt: skip


def page(path: str, start: int) -> dict[str, Any]:
    """Return a page of pods, of which the last ones are gone, or of nodes."""
    if path.endswith("/nodes"):
        items = [{"metadata": {"name": node_of(n)}} for n in range(NODES)]
        return {"metadata": {"resourceVersion": "7"}, "items": items}
    last = NODES * LEASES - LEAKS
    more = {"continue": str(start + PAGE)} if start + PAGE < last else {}
    numbers = range(start, min(start + PAGE, last))
    return {"metadata": {"resourceVersion": "7", **more}, "items": [pod(number) for number in numbers]}


class Handler(BaseHTTPRequestHandler):
    """Answers lists page by page, and keeps watches open."""

    protocol_version = "HTTP/1.1"
    pages: ClassVar[dict[tuple[str, int], bytes]] = {}
    ended = threading.Event()

    def do_GET(self) -> None:
        """Answer."""
        url = urlsplit(self.path)
        asked = parse_qs(url.query)
        if "watch" in asked:
            self.send_response(200)
            self.send_header("Connection", "close")
            self.end_headers()
            self.wfile.flush()
            self.ended.wait()
            self.close_connection = True
            return
        key = url.path, int(asked.get("continue", ["0"])[0])
        body = self.pages.get(key) or self.pages.setdefault(key, json.dumps(page(*key)).encode())
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@contextlib.contextmanager
def server(directory: Path) -> Iterator[Path]:
    """Answer for pods and nodes until the block is left; a kubeconfig."""
    made = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    made.daemon_threads = True
    for start in range(0, NODES * LEASES - LEAKS, PAGE):
        Handler.pages["/api/v1/pods", start] = json.dumps(page("/api/v1/pods", start)).encode()
    threading.Thread(target=made.serve_forever, daemon=True).start()
    kubeconfig = directory / "kubeconfig"
    document = {
        "current-context": "c", "contexts": [{"name": "c", "context": {"cluster": "k"}}],
        "clusters": [{"name": "k", "cluster": {"server": f"http://127.0.0.1:{made.server_port}"}}],
    }  # fmt: skip
    kubeconfig.write_text(yaml.safe_dump(document))
    yield kubeconfig
    Handler.ended.set()
    made.shutdown()
    made.server_close()


def measured(endpoints: Sequence[str], kubeconfig: Path) -> dict[str, float]:
    """Look, in a process of its own, and release what leaked."""
    command = [sys.executable, "-c", LOOK, str(kubeconfig), ",".join(endpoints)]
    done = subprocess.run(command, stdout=subprocess.PIPE, check=True, timeout=600)
    return dict(json.loads(done.stdout))


def rows() -> Iterator[Row]:
    """Fill a datastore, look at it, and clear the leaks away."""
    with etcd.cluster() as cluster, tempfile.TemporaryDirectory(prefix="unipam-bench-") as directory:
        store = EtcdDatastore(Etcd(Settings(cluster.endpoints)))
        fill(store)
        store.close()
        with server(Path(directory)) as kubeconfig:
            found = measured(cluster.endpoints, kubeconfig)
    assert (found["leases"], found["leaks"], found["released"]) == (NODES * LEASES, LEAKS, LEAKS), found
    yield Row("a look at 60,000 leases, everything read anew", f"{found['anew']:.2f} s", "", found["anew"], 5.0)
    yield Row("the same twice, processor seconds", f"{found['cpu']:.2f} s", "", found["cpu"], None)
    yield Row("a look at 60,000 leases, watched", f"{found['warm']:.2f} s", "", found["warm"], 5.0)
    yield Row("memory at the most, in MB", f"{found['peak']:.0f} MB", "", found["peak"], 200.0)
    yield Row("10,000 leaks released: memory at the most, in MB", f"{found['after']:.0f} MB", "", found["after"], None)
    yield Row("10,000 leaks released: seconds", f"{found['seconds']:.1f} s", "", found["seconds"], 120.0)
    yield Row("10,000 leaks released: reads", f"{found['reads']:.0f}", f"{LEAKS}", found["reads"] / LEAKS, 0.01)


def main() -> None:
    """Print the rows."""
    if NEEDS[0].met():
        show("Calico's garbage: 1,000 nodes, 60,000 leases, on etcd", rows())
