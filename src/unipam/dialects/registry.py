"""Which plugin answers under which name: the one place that knows every dialect with a CNI plugin.

A dialect is imported when one of its names is first called, since the cold path pays for every import.
"""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING

from unipam.cni import plugin as protocol

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from unipam.cni.call import Answer, Call
    from unipam.cni.context import Context
    from unipam.cni.plugin import Plugin


def _host_local() -> Plugin:
    from unipam.dialects.host_local.verbs import PLUGIN

    return PLUGIN


def _azure_vnet() -> Plugin:
    from unipam.dialects.azure_vnet.verbs import PLUGIN

    return PLUGIN


def _calico() -> Plugin:
    from unipam.dialects.calico.verbs import PLUGIN

    return PLUGIN._replace(command=_calico_program)


def _calico_program(words: Sequence[str]) -> int:
    from unipam.dialects import program

    return program.main(words)


def _native() -> Plugin:
    from unipam.dialects.native.verbs import PLUGIN

    return PLUGIN


CALICO = "calico-ipam"

_PLUGINS = {
    "host-local": _host_local,
    "azure-vnet-ipam": _azure_vnet,
    "azure-vnet-ipamv6": _azure_vnet,
    CALICO: _calico,
    "unipam": _native,
}


def names() -> tuple[str, ...]:
    """Return the names under which plugins answer, the one for unknown names first."""
    return tuple(_PLUGINS)


def placed() -> tuple[str, ...]:
    """Return the names that are put into a runtime's directory unasked.

    Not our own, which takes nobody's place, nor calico-ipam: that writes into a whole cluster's datastore, so a node
    changes over to it when somebody says so.
    """
    return tuple(name for name in _PLUGINS if name not in {CALICO, "unipam"})


@functools.cache
def plugin(name: str) -> Plugin:
    """Return the plugin of this name; host-local for a name that is none of ours (a renamed launcher)."""
    return _PLUGINS.get(name, _host_local)()


def is_remote(call: Call) -> bool:
    """Return whether a call's plugin has its truth elsewhere."""
    return plugin(call.plugin).remote


def answer(call: Call, context: Context) -> Answer:
    """Return the answer of the plugin that the call names. Raises what `cni.plugin.answer` raises."""
    return protocol.answer(plugin(call.plugin), call, context)


def together(
    calls: Sequence[Call], heard: Sequence[Callable[[], bool]], context: Context
) -> list[tuple[Sequence[int], Callable[[Context], list[Answer | None]]]]:
    """Return which calls of one plugin and configuration are answered together; see `cni.plugin.together`."""
    return protocol.together(plugin(calls[0].plugin), calls, heard, context)
