"""Registers by name, and how to sign in to them: one file of the user's, which nobody else may read.

Tokens are in that file, or in the system's keyring where a context says so.
"""

from __future__ import annotations

import contextlib
import os
import stat
import time
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from unipam.model.errors import BadInput, Missing, NotSignedIn

if TYPE_CHECKING:
    from unipam.clients.entra import Application

_SERVICE = "unipam"
_EARLY = 60.0
"""Seconds before its end that a token counts as over."""


class Secret(msgspec.Struct, omit_defaults=True):
    """What signs in: a token for the register, until when it is good (0: it says so itself), what gets the next one."""

    token: str = ""
    expires_on: float = 0.0
    refresh: str = ""


class Context(msgspec.Struct, omit_defaults=True):
    """A register: its address or its database. `tenant`, `client` and `authority` are how people sign in."""

    server: str = ""
    database: str = ""
    token_file: str = ""
    keyring: bool = False
    secret: Secret = msgspec.field(default_factory=Secret)
    tenant: str = ""
    client: str = ""
    authority: str = ""


class Contexts(msgspec.Struct, omit_defaults=True):
    """All contexts of a user, and which one is in use."""

    current: str = ""
    contexts: dict[str, Context] = {}

    def find(self, name: str) -> Context:
        """Return a context. Raises Missing, with those that there are."""
        if name not in self.contexts:
            known = ", ".join(sorted(self.contexts)) or "none yet (unipam context add)"
            raise Missing(f"there is no context {name}: there are {known}", value=name)
        return self.contexts[name]


def path() -> Path:
    """Return where contexts are kept: UNIPAM_CONTEXTS, or a file in the user's configuration."""
    base = os.environ.get("XDG_CONFIG_HOME") or os.path.expanduser("~/.config")
    return Path(os.environ.get("UNIPAM_CONTEXTS") or os.path.join(base, "unipam", "contexts.json"))


def load() -> Contexts:
    """Return the contexts; none where there is no file. Raises BadInput for a file that others may read, or another."""
    file = path()
    try:
        mode, data = file.stat().st_mode, file.read_bytes()
    except FileNotFoundError:
        return Contexts()
    except OSError as error:
        raise BadInput(f"cannot read {file}: {error.strerror}") from None
    if mode & (stat.S_IRWXG | stat.S_IRWXO):
        raise BadInput(f"{file} holds tokens, and others may read it: chmod 600 {file}")
    try:
        return msgspec.json.decode(data, type=Contexts)
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise BadInput(f"{file} is no file of contexts: {error}") from None


@contextlib.contextmanager
def changing() -> Iterator[Contexts]:
    """Yield the contexts, and write them whole when the block ends without an error."""
    contexts = load()
    yield contexts
    file = path()
    file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    part = file.with_name(f"{file.name}.{os.getpid()}")
    descriptor = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with os.fdopen(descriptor, "wb") as written:
            written.write(msgspec.json.format(msgspec.json.encode(contexts), indent=2) + b"\n")
        os.replace(part, file)
    except BaseException:
        part.unlink(missing_ok=True)
        raise


def keep(context: Context, name: str, secret: Secret) -> None:
    """Put a secret where the context has its own. Raises BadInput when that is a keyring, and there is none."""
    if context.keyring:
        _keyring().set_password(_SERVICE, name, msgspec.json.encode(secret).decode())
    else:
        context.secret = secret


def forget(context: Context, name: str) -> None:
    """Take a context's secret out of the keyring, where it is in one."""
    if context.keyring:
        keyring = _keyring()
        with contextlib.suppress(keyring.errors.PasswordDeleteError):
            keyring.delete_password(_SERVICE, name)


def _secret(context: Context, name: str) -> Secret:
    if not context.keyring:
        return context.secret
    text = _keyring().get_password(_SERVICE, name)
    return msgspec.json.decode(text, type=Secret) if text else Secret()


def token_of(context: Context, name: str) -> str:
    """Return a token that is good now: the one that is kept, or the next one; "" where there is none.

    Raises NotSignedIn when the sign-in is over.
    """
    if context.token_file:
        try:
            return Path(context.token_file).read_text(encoding="utf-8").strip()
        except (OSError, UnicodeDecodeError) as error:
            raise BadInput(f"the token of context {name} cannot be read: {error}") from None
    secret = _secret(context, name)
    if not secret.expires_on or time.time() < secret.expires_on - _EARLY:
        return secret.token
    if not secret.refresh:
        raise NotSignedIn(f"the sign-in of context {name} is over: unipam login --context {name}")
    return _renewed(name, secret)


def _renewed(name: str, secret: Secret) -> str:
    from unipam.clients.entra import refresh

    with changing() as contexts:
        context = contexts.find(name)
        try:
            tokens = refresh(application(context), secret.refresh)
        except NotSignedIn as error:
            raise NotSignedIn(f"{error.message}: unipam login --context {name}") from None
        keep(context, name, Secret(tokens.access, tokens.expires_on, tokens.refresh))
    return tokens.access


def application(context: Context) -> Application:
    """Return the application that people of a context sign in to."""
    from unipam.clients.entra import Application

    made = Application(context.tenant, context.client)
    return made._replace(authority=context.authority) if context.authority else made


def _keyring() -> Any:
    try:
        import keyring
        import keyring.errors
    except ModuleNotFoundError:
        raise BadInput("--keyring needs the package keyring: pip install keyring") from None
    return keyring
