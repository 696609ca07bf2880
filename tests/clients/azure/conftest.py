"""A fake Azure, how to reach it, and a clock that moves only when somebody sleeps."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TypeVar

import pytest
from azure.core.credentials import AccessToken, AccessTokenInfo, TokenRequestOptions
from tests.fakes.azure import FakeAzure, azure

from unipam.clients.azure.arm import Answer, Arm
from unipam.clients.azure.pace import Time
from unipam.clients.azure.settings import Settings
from unipam.clients.azure.write.jobs import Job, Pause, send
from unipam.model.errors import SourceFailed

T = TypeVar("T")


class SetClock:
    """Seconds; `slept` are the pauses that somebody waited for."""

    def __init__(self) -> None:
        self.now = 1000.0
        self.slept: list[float] = []

    def __call__(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.now += seconds

    @property
    def time(self) -> Time:
        """It as clients take it, without anything random."""
        return Time(self, self.sleep, lambda: 0.0)


class HandedToken:
    """A credential that has its token already."""

    def __init__(self, token: str) -> None:
        self._token = token

    def get_token(self, *scopes: str, **_: object) -> AccessToken:
        return AccessToken(self._token, 2**33)

    def get_token_info(self, *scopes: str, options: TokenRequestOptions | None = None) -> AccessTokenInfo:
        return AccessTokenInfo(self._token, 2**33)


def carry_out(arm: Arm, job: Job[T], clock: SetClock) -> T:
    """A job's result, asked over HTTP by one who waits."""
    answer: Answer | None = None
    failed: SourceFailed | None = None
    while True:
        try:
            wanted = job.throw(failed) if failed else job.send(answer)  # type: ignore[arg-type]
        except StopIteration as stop:
            return stop.value  # type: ignore[no-any-return]
        answer = failed = None
        if isinstance(wanted, Pause):
            clock.sleep(wanted.seconds)
            continue
        try:
            answer = send(arm, wanted)
        except SourceFailed as error:
            failed = error


@pytest.fixture
def fake(tmp_path: Path) -> Iterator[FakeAzure]:
    with azure(tmp_path) as running:
        yield running


@pytest.fixture
def settings(fake: FakeAzure) -> Settings:
    """As the application, with its secret."""
    entra = fake.entra
    return Settings(entra.tenant, entra.client, entra.secret, authority=fake.base, endpoint=fake.base, ca_file=fake.ca)


@pytest.fixture
def clock() -> SetClock:
    return SetClock()


@pytest.fixture
def arm(fake: FakeAzure, settings: Settings, clock: SetClock) -> Iterator[Arm]:
    """The Resource Manager as the application, which has its token already."""
    token = fake.entra.token(fake.base, fake.entra.principal)
    made = Arm(settings, HandedToken(token), clock.time)
    yield made
    made.close()
