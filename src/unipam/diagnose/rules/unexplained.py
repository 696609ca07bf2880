"""Failures that no rule explains: each is reported as such and never passed over.

A pod that did not get its network is a failure whoever's words are around it. Each such message is told with its
plugin, its pod and its innermost text; a line that a program of this field calls an error is told when nothing else
explains it.
"""

from __future__ import annotations

import itertools
import re

from unipam.diagnose.case import Case
from unipam.diagnose.excerpt import Excerpt, tells_of_an_end
from unipam.diagnose.rules.rule import AZURE
from unipam.diagnose.systems import ELSEWHERE, SYSTEMS

WORDS = frozenset(
    b"sandbox failedcreatepodsandbox failedcreatepodcontainer killpodsandbox netplugin networkplugin message "
    b"response".split()
)
"""Words, one of which is in every message of a failed sandbox, and in every answer of Azure."""

_HEADS = (
    r"FailedCreatePodSandBox",
    r"[Ff](?:ai|i)led (?:to )?create pod sandbox(?= ?:|\.|$)|error killing pod.{0,40}KillPodSandbox"
    r"|RunPodSandbox (?:for &?PodSandboxMetadata\S* )?failed"
    r"|(?:Create|Run|Stop)PodSandbox (?:from runtime service|for pod|\S+) failed",
    r"[Ff]ailed to set ?up (?:network for )?sandbox|[Ff]ailed to destroy network for sandbox",
    r"[Nn]etwork[Pp]lugin \w+ failed to (?:set ?up|teardown) pod|netplugin failed"
    r"|plugin type=[\"']?[\w.-]+[\"']?(?: name=[\"']?[\w.-]+[\"']?)? failed \(\w+\)"
    r"|error adding (?:container|pod \S+) to (?:CNI )?network"
    r"|CNI (?:network|operation)[^:]{0,60}(?:failed|could not be set up)",
)
"""The wrappers of such a message, from the outermost to the plugin's own."""

_HEAD = re.compile("|".join(f"(?P<h{rank}>{pattern})" for rank, pattern in enumerate(_HEADS)))
_OWN = len(_HEADS) - 1
_WRAPPERS = re.compile(
    r".*(?:(?:failed \(\w+\)|[Ff]ailed to set ?up (?:network for )?sandbox (?:container )?\S+?(?: network for pod "
    r"\S+?)?"
    r"|[Ff]ailed to destroy network for sandbox \S+?|\" network|create pod sandbox|netplugin failed): |desc = )",
    re.DOTALL,
)
_ID = re.compile(
    r"\b[0-9a-f]{12,64}\b|\b[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}\b|\d+(?:\.\d+){3}(?:[:/]\d+)?|\b\d+\b"
)
_TEXT_LENGTH = 160


def apply(case: Case, excerpt: Excerpt, known: list[tuple[int, int]]) -> None:
    """Record each failed sandbox of the excerpt in whose message no rule matched (`known`: where they did)."""
    heads = list(_HEAD.finditer(excerpt.text))
    for start, end in _messages(heads, len(excerpt.text)):
        if any(start <= at < end or at <= start < to for at, to in known):
            continue
        text = excerpt.text[start:end]
        kind = "unexplained-release" if tells_of_an_end(text) else "unexplained"
        _signal(case, excerpt, kind, _innermost(text), start, _plugin(excerpt, text))
    if not known and not heads and ("essage" in excerpt.text or "ERROR CODE" in excerpt.text):
        _azure(case, excerpt)


_CODE = re.compile(r"(?:\b[Cc]ode|CODE)[\"' ]*[:=][\"' ]*(?P<code>[A-Z][a-z]+(?:[A-Z][A-Za-z]+)+)\b")
_MESSAGE = re.compile(r"[Mm]essage[\"' ]*[:=][\"' ]*(?P<text>[^\"{]{8,200})")
_ANSWER = re.compile(
    rf"{AZURE}|ERROR CODE: |\"error\"\s*:\s*\{{\s*\"code\"|\((?P<code>\w+)\) .* Code: (?P=code) Message: "
)
"""What shows that a code and a message are an answer of Azure's: its names, and the forms of its clients."""

_OUTER_CODES = frozenset(
    (
        "DeploymentFailed",
        "BadRequest",
        "ResourceDeploymentFailure",
        "InvalidTemplateDeployment",
        "CreateVMSSAgentPoolFailed",
    )
)
"""Codes that say only that something inside failed."""


def _azure(case: Case, excerpt: Excerpt) -> None:
    """Record an answer of Azure whose code no rule has."""
    codes = [match["code"] for match in _CODE.finditer(excerpt.text)]
    inner = [code for code in codes if code not in _OUTER_CODES]
    if not codes or not (_ANSWER.search(excerpt.text) or codes != inner):
        return
    messages = [match["text"].strip() for match in _MESSAGE.finditer(excerpt.text)]
    code = (inner or codes)[-1]
    case.signal(
        "azure-unknown",
        code,
        excerpt.where(),
        at=excerpt.at,
        times=excerpt.times,
        values={"text": messages[-1] if messages else "(cut off)"},
    )


def say(case: Case, excerpt: Excerpt, text: str) -> None:
    """Record an error that its writer calls one, and that is no failed sandbox (`apply` has told those)."""
    if not _HEAD.search(excerpt.text):
        _signal(case, excerpt, "unexplained-error", text[:_TEXT_LENGTH], 0, excerpt.origin.program)


def refused(case: Case, excerpt: Excerpt, text: str, plugin: str) -> None:
    """Record a call that its own plugin's log shows refused, for a reason that no rule knows."""
    _signal(case, excerpt, "unexplained", text[:_TEXT_LENGTH], 0, plugin)


def not_released(case: Case, excerpt: Excerpt, text: str, plugin: str) -> None:
    """Record a release that its own plugin's log shows refused, for a reason that no rule knows."""
    _signal(case, excerpt, "unexplained-release", text[:_TEXT_LENGTH], 0, plugin)


def _messages(heads: list[re.Match[str]], end: int) -> list[tuple[int, int]]:
    """Return where each message begins and ends: a new one begins where an outer wrapper stands again.

    The innermost wrapper may be repeated in one message: plugins call plugins.
    """
    starts: list[int] = []
    rank = len(_HEADS)
    for head in heads:
        mine = next(number for number in range(len(_HEADS)) if head[f"h{number}"])
        if mine < rank or (mine == rank and mine < _OWN):
            starts.append(head.start())
        rank = mine
    return list(itertools.pairwise([*starts, end])) if starts else []


def _innermost(text: str) -> str:
    match = _WRAPPERS.match(text)
    inner = text[match.end() :] if match else text
    return inner.strip(" \"'`.")[:_TEXT_LENGTH] or "(the text is cut off)"


def _plugin(excerpt: Excerpt, text: str) -> str:
    named = [name for name in excerpt.plugins() if name in text]
    return named[-1] if named else excerpt.origin.program if excerpt.origin.program in SYSTEMS else ""


def _signal(case: Case, excerpt: Excerpt, kind: str, text: str, start: int, plugin: str) -> None:
    system = SYSTEMS.get(plugin, ELSEWHERE)
    case.signal(
        kind,
        _ID.sub("#", text),
        excerpt.where(start),
        at=excerpt.at,
        times=excerpt.times,
        values={
            "text": text,
            "plugin": plugin or None,
            "system": system.title or None,
            "look_at": system.look_at,
        },
        plugins=[plugin] if plugin else [],
        containers=excerpt.containers(),
        pods=excerpt.pods,
        nodes=[excerpt.origin.node] if excerpt.origin.node else [],
        refused=kind == "unexplained",
    )
