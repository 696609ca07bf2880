"""What a rule is, and how it is applied. The rules themselves stand with the systems that write the messages."""

from __future__ import annotations

import re

from unipam.diagnose.case import Case
from unipam.diagnose.excerpt import Excerpt
from unipam.diagnose.words import telling_word

_FIELDS_THAT_NAME = {
    "address": "addresses",
    "node": "nodes",
    "other_node": "nodes",
    "container": "containers",
    "pod": "pods",
    "subnet": "subnets",
    "reason": "reasons",
}


# What a text must also hold for a phrase that other programs print too: the words of the program that is meant.
SANDBOX = (
    r"[Ss]andbox|SandBox|\bCNI\b|\bcni\b|cni-|netplugin|networkPlugin|plugin type=|\[(?:cni-)?ipam\]"
    r"|[Ff]ailed to delegate"
)
AZURE_VNET = (
    rf"{SANDBOX}|azure-vnet|azure-cns|Failed to allocate (?:pool|address)|(?:ipam|IPAM|network) plugin"
    r"|IPAM Invoker|address manager"
)
CALICO = rf"{SANDBOX}|[Cc]alico|ClusterInformation|IPAM|ipam"
CILIUM = rf"{SANDBOX}|[Cc]ilium|postIpam|IPAM|ipam|subsys="
CNS = rf"{SANDBOX}|\bCNS\b|\bcns\b|azure-cns|azure-vnet|azure-ipam|IPAM Invoker|requestipconfig"
AZURE = (
    r"[Aa]zure|management\.azure\.com|Microsoft\.|VMSS|[Vv]irtual[Mm]achine|[Ss]cale ?[Ss]et|autorest|subscription|"
    r"\w+Client[#.]|\bARM\b|\baks\b|\bAKS\b|agent ?[Pp]ool|node pool|HighCost|LowCost"
)


class Rule:
    """`pattern` is a sign of `kind`. `subject` is a format over the named groups.

    `anchors` are phrases, at least one of which is in every text that the pattern can match; the telling word of one of
    them must be in a line for the rule to be tried at all, so whole words, and rare ones, serve best.
    `near` is a pattern that the excerpt, or the name of the program that wrote it, must also hold: for words that any
    program may print. `unless` is a pattern that, when it is found in the same excerpt, takes the rule's meaning away.
    """

    def __init__(
        self, kind: str, pattern: str, *anchors: str, subject: str = "", near: str = "", unless: str = ""
    ) -> None:
        self.kind = kind
        self.pattern = re.compile(pattern)
        self.anchors = anchors
        self.telling_words = frozenset(telling_word(anchor) for anchor in anchors)
        self.subject = subject
        self.near = re.compile(near) if near else None
        self.unless = re.compile(unless) if unless else None

    def apply(self, case: Case, excerpt: Excerpt) -> list[tuple[int, int]]:
        """Record a signal for every match in the excerpt. Returns where the matches are."""
        text = excerpt.text
        for anchor in self.anchors:  # a loop, for any() makes a generator, and most rules have one anchor
            if anchor in text:
                break
        else:
            return []
        matches = list(self.pattern.finditer(text))
        if not matches or (self.unless is not None and self.unless.search(text)):
            return []
        if self.near is not None and not (self.near.search(text) or self.near.search(excerpt.origin.program)):
            return []
        told: set[str] = set()
        for match in matches:
            self._signal(case, excerpt, match, told)
        return [match.span() for match in matches]

    def _signal(self, case: Case, excerpt: Excerpt, match: re.Match[str], told: set[str]) -> None:
        fields = {name: value.strip() for name, value in match.groupdict().items() if value and name != "lead"}
        named = {sort: [fields[name]] for name, sort in _FIELDS_THAT_NAME.items() if name in fields}
        if excerpt.origin.node:
            named.setdefault("nodes", [excerpt.origin.node])
        named.setdefault("containers", excerpt.containers())
        named.setdefault("pods", excerpt.pods)
        subject = self.subject.format_map(_Blank(fields))
        case.signal(
            self.kind,
            subject,
            excerpt.where(match.start()),
            at=excerpt.at,
            times=0 if subject in told else excerpt.times,  # one message often says the same thing twice
            values={**{name: _number(value) for name, value in fields.items()}, "lasted": excerpt.lasted or None},
            plugins=excerpt.plugins(),
            refused=excerpt.is_refusal,
            **named,
        )
        told.add(subject)


class _Blank(dict[str, str]):
    def __missing__(self, key: str) -> str:
        return ""


def _number(value: str) -> str | int:
    return int(value) if value.isdigit() and len(value) < 16 else value
