"""The register's process: settings in, server up, background work, an orderly end."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import os
import secrets
import signal
import sys
import time
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from functools import partial

import structlog
import uvicorn
from fastapi import FastAPI

from unipam import rounds
from unipam.addr.prefix import Prefix
from unipam.logline import AUTO
from unipam.model.errors import BadInput, BadValue, StoreBroken, UnipamError
from unipam.model.objects import parse_place
from unipam.plan import idempotency
from unipam.plan.access.sessions import forget_sessions, make_shared_key
from unipam.plan.access.tokens import bootstrap, follow_spaces
from unipam.plan.cloud.port import Cloud, Unconnected
from unipam.plan.cloud.sync import SYSTEM, sync
from unipam.plan.open import is_postgres, open_store
from unipam.plan.tree import WHOLE_LINE, Author, Plan
from unipam.server import listener, logs, surroundings
from unipam.server.app import create_app
from unipam.server.auth import PLANNER, Authenticator
from unipam.server.code_flow import CodeFlow, Proof
from unipam.server.connection import Connection
from unipam.server.entra import Directory
from unipam.server.limit import FailureLimit
from unipam.server.node import Node
from unipam.server.register import Register
from unipam.server.serve import FINISHING, Server
from unipam.server.store_worker import StoreWorker
from unipam.store.api import Tx

log = structlog.get_logger()


SWITCH = 0.0005
"""Seconds after which a thread must let another one run. The writer gives way at every statement, and with Python's
usual 5 ms it would wait for the event loop ten times in one transaction."""


COLLECT = (50_000, 20, 100)
"""When garbage is looked for. A listing of a large plan makes a hundred thousand objects and no garbage; Python's usual
700 would look for some a hundred times meanwhile."""


LONGEST_TRANSACTION = 60.0
"""Seconds that a transaction on PostgreSQL may take; an import of a large plan takes longest."""

EVERYBODY = "*"
"""As proxies: whoever connects is believed about its callers."""


@dataclass
class Settings:
    """How a register runs. `everybody` is the role of a tenant's members (see `server.auth`).

    `proof` is how the register proves to be the directory's application; without, people cannot sign in to the pages.
    `proxies` are the addresses whose X-Forwarded-For is believed, with commas between, or "*".
    `stack` is what `/api/status` calls the place that it runs in; empty: found out.
    `sync` is how many seconds lie between two rounds of following the cloud; without `follows` there are none.
    `ledger` is the data directory of a node's ledger, whose leases are shown beside the plan; empty: none.
    With `sample` an empty database gets a plan that is made up, and the cloud is that plan's.
    """

    database: str
    host: str = "127.0.0.1"
    port: int = 8080
    admin_token_file: str = ""
    admin_token_from: str = ""
    directory: Directory | None = None
    proof: Proof | None = None
    everybody: str = PLANNER
    certificate: str = ""
    key: str = ""
    proxies: str = "127.0.0.1"
    sync: float = 60.0
    failures: int = 20
    cloud: Callable[[], Cloud] = field(default=Unconnected)
    stack: str = ""
    environment: str = "AZURE_PUBLIC"
    follows: bool = True
    sample: bool = False
    ledger: str = ""
    log_format: str = AUTO


def run(settings: Settings) -> None:
    """Serve until SIGTERM or SIGINT; what was begun is finished. Raises the store's errors."""
    prepare(settings)
    sys.setswitchinterval(SWITCH)
    gc.set_threshold(*COLLECT)
    logs.configure(settings.log_format)
    server = make_server(settings, make_app(settings))
    # uvicorn ends in good order, then sends the signal on to whoever was there before: that is us, and we are done.
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: None)
    server.run()


def make_server(settings: Settings, app: FastAPI) -> Server:
    """Make the server of the application; it listens already. Raises BadValue when it cannot."""
    config = uvicorn.Config(
        app,
        http=Connection,
        ws="none",
        lifespan="on",
        ssl_certfile=settings.certificate or None,
        ssl_keyfile=settings.key or None,
        forwarded_allow_ips=settings.proxies,
        access_log=False,
        log_config=None,
        timeout_graceful_shutdown=FINISHING,
        server_header=False,
    )
    try:
        listening = listener.bind(settings.host, settings.port)
    except OSError as error:
        raise BadValue(f"cannot listen at {settings.host}:{settings.port}: {error.strerror}", field="port") from error
    return Server(config, listening, _proxies(settings.proxies))


def _proxies(text: str) -> list[Prefix]:
    """Return from where connections are many clients'. Raises BadValue."""
    return [WHOLE_LINE] if text == EVERYBODY else [parse_place(each.strip(), "proxies") for each in text.split(",")]


def prepare(settings: Settings) -> None:
    """Make the database if need be, on the very first start the first administrator's token, and old tokens new."""
    store = open_store(settings.database, LONGEST_TRANSACTION)
    try:
        plan = Plan(store)
        given = partial(_given, settings.admin_token_from) if settings.admin_token_from else None
        text = plan.write(partial(bootstrap, given=given), Author("unipam", "system", reason="first start"))
        plan.write(follow_spaces, SYSTEM)
        plan.write(make_shared_key, SYSTEM)
        if text:
            hand_over(text, settings.admin_token_file)
        if settings.sample:
            settings.cloud = partial(_same, _sample_cloud(plan))
    finally:
        store.close()


def _sample_cloud(plan: Plan) -> Cloud:
    from unipam.plan.sample.story import cloud_of  # only who wants to look around needs it

    return cloud_of(plan, plan.clock())


def _same(cloud: Cloud) -> Cloud:
    return cloud


def _given(path: str) -> str:
    try:
        with open(path, encoding="ascii", errors="replace") as file:
            return file.read().strip()
    except OSError as error:
        message = f"cannot read the first administrator's token in {path}: {error.strerror}"
        raise BadInput(f"{message}: put one there, made with `unipam register token make`") from error


def hand_over(token: str, path: str) -> None:
    """Tell the first administrator's token once: in a file that only its owner may read, or on standard output."""
    if not path:
        print(f"first administrator's token (shown once): {token}", flush=True)  # noqa: T201 (this is what was asked)
        return
    draft = f"{path}.{secrets.token_hex(8)}.new"  # renamed, so that neither a link nor a file planted there gets it
    try:
        descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
        with os.fdopen(descriptor, "w") as file:
            file.write(token + "\n")
        os.rename(draft, path)
    except OSError as error:
        with contextlib.suppress(OSError):
            os.unlink(draft)
        # It would be lost otherwise, and with it the way in.
        print(f"first administrator's token (shown once): {token}", file=sys.stderr, flush=True)  # noqa: T201
        raise StoreBroken(f"cannot write {path}: {error.strerror}; the token was printed instead") from error


def make_app(settings: Settings) -> FastAPI:
    """Make the application for these settings."""

    @contextlib.asynccontextmanager
    async def start() -> AsyncIterator[Register]:
        worker = StoreWorker(lambda: open_store(settings.database, LONGEST_TRANSACTION), time.time)
        limit = FailureLimit(time.monotonic, settings.failures)
        auth = Authenticator(worker, settings.directory, limit, settings.everybody)
        cloud = settings.cloud()
        register = Register(
            worker, cloud, auth, time.time, stack=settings.stack or surroundings.stack(os.environ),
            environment=settings.environment, container=surroundings.container(os.environ),
            flow=CodeFlow(settings.directory, settings.proof) if settings.directory and settings.proof else None,
            node=Node(settings.ledger) if settings.ledger else None,
            engine="PostgreSQL" if is_postgres(settings.database) else "SQLite",
        )  # fmt: skip
        following = rounds.repeat(partial(follow, register), settings.sync, asyncio.sleep) if settings.follows else None
        follower = asyncio.create_task(following) if following else None
        try:
            yield register
        finally:
            if follower is not None:
                follower.cancel()
                with contextlib.suppress(asyncio.CancelledError):
                    await follower
            await register.close()

    return create_app(start)


async def follow(register: Register) -> None:
    """Bring the plan up to the cloud for a round; a failure is logged, and the next round tries anew."""
    try:
        await follow_once(register)
    except UnipamError as error:
        log.warning("sync failed", error=error.message)


async def follow_once(register: Register) -> int:
    """Bring the plan up to what is seen of the cloud now; how many objects changed."""
    snapshot = await register.last_snapshot()
    changed = await register.worker.write(lambda tx, by: sync(tx, by, snapshot), SYSTEM)
    await register.worker.freeing().write(_forget, SYSTEM)
    if snapshot.taken:
        await register.compared()  # ahead of who asks for it: the first time everything is read
    if changed:
        log.info("synced", changed=changed, problems=list(snapshot.problems))
    return changed


def _forget(tx: Tx, by: Author) -> None:
    """Drop what is of no use any more: answers to requests that may not come again, sessions that are over."""
    idempotency.forget(tx, by.now - idempotency.KEPT)
    forget_sessions(tx, by.now)
