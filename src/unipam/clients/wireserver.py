"""Azure's wireserver: which addresses the fabric has given to the network interfaces of this machine.

One GET, one XML document, read as it comes and within bounds of time, size and count. What the answer means for
anybody's pools is not known here.

Source: spec azure-vnet-ipam §2.4.
"""

from __future__ import annotations

from typing import NamedTuple
from xml.parsers import expat

from unipam.model.errors import SourceFailed

URL = "http://168.63.129.16/machine/plugins?comp=nmagent&type=getinterfaceinfov1"
TIMEOUT = 3.0
"""Seconds for the whole exchange: a launcher gives an agent 4 in all."""
LARGEST_ANSWER = 8 << 20
MOST_ADDRESSES = 1 << 16
"""A machine has at most 8 interfaces with 256 addresses each; this bounds an absurd answer."""


class WireserverSubnet(NamedTuple):
    """A subnet of an interface as the answer has it; each address with whether it is the interface's own (primary)."""

    prefix: str
    addresses: tuple[tuple[str, bool], ...]


class WireserverInterface(NamedTuple):
    """A network interface as the answer has it. `mac` is not normalised."""

    mac: str
    primary: bool
    subnets: tuple[WireserverSubnet, ...]


def fetch(url: str = URL, timeout: float = TIMEOUT) -> tuple[WireserverInterface, ...]:
    """Ask, and read the answer. Raises SourceFailed, within `timeout` seconds, with what was wrong.

    An answer without any interface is an answer: ().
    """
    from unipam.clients import bounded  # HTTP is slow to import, and most calls need not ask

    document = _Document()
    try:
        bounded.receive(url, timeout, LARGEST_ANSWER, document.feed)
        return document.interfaces()
    except TimeoutError:
        raise _failed(url, f"no whole answer within {timeout:g} s") from None
    except OSError as error:
        raise _failed(url, (error.strerror or str(error)).lower()) from None
    except (expat.ExpatError, ValueError) as error:
        raise _failed(url, str(error)) from None


def _failed(url: str, problem: str) -> SourceFailed:
    server = url.split("/")[2]
    return SourceFailed(f"the wireserver at {server} gave no address list: {problem}", source=url)


class _Document:
    """Reads the XML document piece by piece. Raises ExpatError or ValueError for anything that is not one of these."""

    def __init__(self) -> None:
        self._parser = expat.ParserCreate()
        self._parser.StartElementHandler = self._start
        self._parser.StartDoctypeDeclHandler = _refuse_doctype
        self._path: list[str] = []
        self._interfaces: list[tuple[str, bool, list[WireserverSubnet]]] = []
        self._prefix = ""
        self._addresses: list[tuple[str, bool]] = []
        self._parser.EndElementHandler = self._end
        self._count = 0

    def feed(self, data: bytes) -> None:
        """Read the next piece."""
        self._parser.Parse(data, False)

    def interfaces(self) -> tuple[WireserverInterface, ...]:
        """Return what the document says, all of which has come."""
        self._parser.Parse(b"", True)
        return tuple(WireserverInterface(mac, primary, tuple(subnets)) for mac, primary, subnets in self._interfaces)

    def _start(self, name: str, attributes: dict[str, str]) -> None:
        if not self._path and name != "Interfaces":
            raise ValueError(f"expected element type <Interfaces> but have <{name[:40]}>")
        self._path.append(name)
        match self._path:
            case ["Interfaces", "Interface"]:
                primary = _boolean(attributes.get("IsPrimary", ""))
                self._interfaces.append((attributes.get("MacAddress", ""), primary, []))
            case ["Interfaces", "Interface", "IPSubnet"]:
                self._prefix, self._addresses = attributes.get("Prefix", ""), []
            case ["Interfaces", "Interface", "IPSubnet", "IPAddress"]:
                self._count += 1
                if self._count > MOST_ADDRESSES:
                    raise ValueError(f"the answer lists more than {MOST_ADDRESSES} addresses")
                self._addresses.append((attributes.get("Address", ""), _boolean(attributes.get("IsPrimary", ""))))

    def _end(self, _: str) -> None:
        if self._path == ["Interfaces", "Interface", "IPSubnet"]:
            self._interfaces[-1][2].append(WireserverSubnet(self._prefix, tuple(self._addresses)))
        self._path.pop()


def _refuse_doctype(*_: object) -> None:
    """Refuse a document type: with its entities a small document becomes a large one."""
    raise ValueError("the answer brings a document type, which the wireserver's do not")


def _boolean(text: str) -> bool:
    """Return a flag as Go's ParseBool reads it; absent means false."""
    if text in {"1", "t", "T", "true", "TRUE", "True"}:
        return True
    if text in {"", "0", "f", "F", "false", "FALSE", "False"}:
        return False
    raise ValueError(f"IsPrimary is {text[:40]!r}, neither true nor false")
