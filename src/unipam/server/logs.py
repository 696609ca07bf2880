"""How the register logs: one line on standard error for whatever happens, whoever speaks (`unipam.logline`)."""

from __future__ import annotations

import logging
import sys
import time

import structlog
from structlog.typing import EventDict, Processor, WrappedLogger

from unipam.logline import AUTO, encoder, moment


def configure(form: str = AUTO, level: int = logging.INFO) -> None:
    """Let structlog and the standard library's logging write the same lines, from a level on."""
    shared: list[Processor] = [structlog.stdlib.add_log_level, structlog.processors.format_exc_info, _in_order]
    encode = encoder(form, terminal=sys.stderr.isatty())

    def render(_: WrappedLogger, __: str, event: EventDict) -> str:
        return encode(event).decode()

    structlog.configure(
        processors=[*shared, render],
        wrapper_class=structlog.make_filtering_bound_logger(level),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
        cache_logger_on_first_use=True,
    )
    handler = logging.StreamHandler(sys.stderr)
    formatting: list[Processor] = [structlog.stdlib.ProcessorFormatter.remove_processors_meta, render]
    handler.setFormatter(structlog.stdlib.ProcessorFormatter(foreign_pre_chain=shared, processors=formatting))
    logging.basicConfig(handlers=[handler], level=level, force=True)
    logging.getLogger("azure").setLevel(logging.WARNING)  # it would tell of every request


def _in_order(_: WrappedLogger, __: str, event: EventDict) -> EventDict:
    """Return a line with its fields in the order that all lines have."""
    return {"time": moment(time.time()), "level": event.pop("level"), "event": event.pop("event"), **event}
