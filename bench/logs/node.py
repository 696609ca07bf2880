"""A node's syslog and what `journalctl` prints of its kubelet and containerd, beside programs of all sorts."""

from __future__ import annotations

from collections.abc import Iterator

from bench.logs.pods import Act, acts

_HOST = "aks-np2-39852331-vmss000000"
_META = "&PodSandboxMetadata{{Name:{pod},Uid:{uid},Namespace:{namespace},Attempt:0,}}"
_VOLUME = (
    'kubelet I reconciler_common.go:245] "operationExecutor.VerifyControllerAttachedVolume started for volume '
    '\\"{volume}\\" (UniqueName: \\"kubernetes.io/projected/{uid}-{volume}\\") pod \\"{pod}\\" (UID: \\"{uid}\\") " '
    'pod="{namespace}/{pod}"',
    'kubelet I operation_generator.go:721] "MountVolume.SetUp succeeded for volume \\"{volume}\\" (UniqueName: '
    '\\"kubernetes.io/projected/{uid}-{volume}\\") pod \\"{pod}\\" (UID: \\"{uid}\\") " pod="{namespace}/{pod}"',
)
_PLEG = (
    'kubelet I kubelet.go:2465] "SyncLoop (PLEG): event for pod" pod="{namespace}/{pod}" '
    'event={{"ID":"{uid}","Type":"%s","Data":"{container}"}}'
)
_IMAGE = "myregistry.azurecr.io/{namespace}/web:1.{id}"
_FAILED = (
    'rpc error: code = Unknown desc = failed to setup network for sandbox \\"{container}\\": plugin '
    'type=\\"azure-vnet\\" failed (add): '
    "IPAM Invoker Add failed with error: Failed to allocate address: No available addresses"
)
_FORMS = {
    "ADD": (
        'kubelet I topology_manager.go:215] "Topology Admit Handler" podUID="{uid}" podNamespace="{namespace}" '
        'podName="{pod}"',
        "systemd Created slice libcontainer container kubepods-burstable-pod{uid}.slice.",
        *_VOLUME,
        f'containerd info msg="RunPodSandbox for {_META}"',
        'containerd info msg="loading plugin \\"io.containerd.event.v1.publisher\\"..." runtime=io.containerd.runc.v2 '
        "type=io.containerd.event.v1",
        "systemd Started libcontainer container {container}.",
        f'containerd info msg="RunPodSandbox for {_META} returns sandbox id \\"{{container}}\\""',
        f'containerd info msg="PullImage \\"{_IMAGE}\\""',
        f'containerd info msg="ImageUpdate event name:\\"{_IMAGE}\\" labels:{{{{key:\\"io.cri-containerd.image\\" '
        'value:\\"managed\\"}}"',
        f'containerd info msg="PullImage \\"{_IMAGE}\\" returns image reference \\"sha256:{{container}}\\""',
        'containerd info msg="CreateContainer within sandbox \\"{container}\\" for container &ContainerMetadata'
        '{{Name:web,Attempt:0,}}"',
        'containerd info msg="StartContainer for \\"{container}\\" returns successfully"',
        _PLEG % "ContainerStarted",
        'kubelet I pod_startup_latency_tracker.go:102] "Observed pod startup duration" pod="{namespace}/{pod}" '
        'podStartSLOduration=2.{id} podStartE2EDuration="2.{id}s" firstStartedPulling="2025-03-01 18:20:16.1 +0000 UTC"'
        ' lastFinishedPulling="2025-03-01 18:20:18.3 +0000 UTC" observedRunningTime="2025-03-01 18:20:18.6 +0000 UTC"',
        "kernel [{id}7034.713402] eth0: renamed from tmp{id}",
        "systemd-networkd azv{id}: Link UP",
    ),
    "DEL": (
        'kubelet I kuberuntime_container.go:779] "Killing container with a grace period" pod="{namespace}/{pod}" '
        'podUID="{uid}" containerName="web" containerID="containerd://{container}" gracePeriod=30',
        'containerd info msg="StopContainer for \\"{container}\\" with timeout 30 (s)"',
        "systemd cri-containerd-{container}.scope: Deactivated successfully.",
        'containerd info msg="shim disconnected" id={container} namespace=k8s.io',
        'containerd warning msg="cleaning up after shim disconnected" id={container} namespace=k8s.io',
        'containerd info msg="StopPodSandbox for \\"{container}\\""',
        'containerd info msg="TearDown network for sandbox \\"{container}\\" successfully"',
        'containerd info msg="StopPodSandbox for \\"{container}\\" returns successfully"',
        _PLEG % "ContainerDied",
        'kubelet I scope.go:117] "RemoveContainer" containerID="{container}"',
        'kubelet I reconciler_common.go:159] "operationExecutor.UnmountVolume started for volume \\"{volume}\\" '
        '(UniqueName: \\"kubernetes.io/projected/{uid}-{volume}\\") pod \\"{uid}\\" (UID: \\"{uid}\\") "',
        'kubelet I kubelet_volumes.go:163] "Cleaned up orphaned pod volumes dir" podUID="{uid}" path="/var/lib/kubelet/'
        'pods/{uid}/volumes"',
    ),
    "AGAIN": (
        'containerd info msg="RemovePodSandbox for \\"{container}\\""',
        'containerd info msg="Forcibly stopping sandbox \\"{container}\\""',
        'containerd info msg="TearDown network for sandbox \\"{container}\\" successfully"',
        'containerd info msg="RemovePodSandbox \\"{container}\\" returns successfully"',
        'kubelet I prober.go:107] "Probe failed" probeType="Readiness" pod="{namespace}/{pod}" podUID="{uid}" '
        'containerName="web" probeResult="failure" output="HTTP probe failed with statuscode: 503"',
    ),
    "FAIL": (
        f'containerd error msg="RunPodSandbox for {_META} failed, error" error="{_FAILED}"',
        f'kubelet E kuberuntime_manager.go:1170] "CreatePodSandbox for pod failed" err="{_FAILED}" '
        'pod="{namespace}/{pod}"',
    ),
}  # fmt: skip
_OTHERS = (
    "systemd run-containerd-runc-k8s.io-{container}-runc.{short}.mount: Deactivated successfully.",
    "systemd Starting Daily apt download activities...",
    "CRON (root) CMD (command -v debian-sa1 > /dev/null && debian-sa1 1 1)",
    "chronyd Selected source PHC0",
    "python3 {uid} INFO ExtHandler ExtHandler [HEARTBEAT] Agent WALinuxAgent-2.12.0.2 is running as the goal state "
    "agent [DEBUG HeartbeatCounter: {id};HeartbeatId: {uid};DroppedPackets: 0;UpdateMode: SelfUpdate]",
    "sshd Connection closed by 10.224.0.{id} port 5{id} [preauth]",
    "auditd audit({id}): op=policy res=1 pid={id} uid=0 auid=4294967295",
    "node-problem-detector I problem_detector.go:69] Problem detector started",
    'kubelet I status_manager.go:851] "Failed to get status for pod" podUID="{uid}" pod="{namespace}/{pod}"',
    'kubelet I image_gc_manager.go:391] "Disk usage on image filesystem is over the high threshold" usage={id}',
)


def syslog() -> Iterator[str]:
    """Yield the node's /var/log/syslog: every program, those of pods among them."""
    for number, act in enumerate(acts()):
        others = [_OTHERS[(number * 3 + turn) % len(_OTHERS)] for turn in range(5)]
        yield from _lines(act, number, [*_FORMS[act.verb], *others])


def journal() -> Iterator[str]:
    """Yield what `journalctl -u kubelet -u containerd -o short-iso-precise` prints."""
    for number, act in enumerate(acts()):
        forms = [form for form in _FORMS[act.verb] if form.startswith(("kubelet", "containerd"))]
        stamp = f"{act.at:%Y-%m-%dT%H:%M:%S.%f}+0000 "
        yield from (f"{stamp}{line}" for line in _bodies(act, number, forms))


def _lines(act: Act, number: int, forms: list[str]) -> Iterator[str]:
    stamp = f"{act.at:%b} {act.at.day:2} {act.at:%H:%M:%S} "
    return (f"{stamp}{line}" for line in _bodies(act, number, forms))


def _bodies(act: Act, number: int, forms: list[str]) -> Iterator[str]:
    fixed = {"short": act.container[:6], "id": str(100 + number % 900), "volume": f"kube-api-access-{act.pod[-5:]}"}
    fields = {"container": act.container, "namespace": act.namespace, "pod": act.pod, "uid": act.uid, **fixed}
    for form in forms:
        program, _, message = form.partition(" ")
        yield f"{_HOST} {program}{_PIDS.get(program, '[1]')}: {_framed(program, act, message.format_map(fields))}\n"


_PIDS = {"kubelet": "[2775]", "containerd": "[2506]", "python3": "[1123]", "kernel": "", "CRON": "[771]"}


def _framed(program: str, act: Act, message: str) -> str:
    """Return the message with what the program itself puts before it."""
    if program == "containerd":
        return f'time="{act.at:%Y-%m-%dT%H:%M:%S}.398062631Z" level={message}'
    if program == "kubelet":
        return f"{message[0]}{act.at:%m%d %H:%M:%S}.668339    2775 {message[2:]}"
    return message
