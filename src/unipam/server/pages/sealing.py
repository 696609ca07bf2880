"""Values that leave our hands and come back: encrypted, and refused when anybody changed them (AES-256-GCM)."""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import os
from typing import TypeVar

import msgspec
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

T = TypeVar("T")

_NONCE = 12


def _cipher(key: bytes, purpose: str) -> AESGCM:
    """Return the cipher of a purpose: what is sealed for one cannot be opened for another."""
    return AESGCM(hmac.digest(key, f"unipam {purpose}".encode(), hashlib.sha256))


def seal(key: bytes, purpose: str, value: object) -> str:
    """Encrypt anything that JSON can hold."""
    nonce = os.urandom(_NONCE)
    sealed = nonce + _cipher(key, purpose).encrypt(nonce, msgspec.json.encode(value), None)
    return base64.urlsafe_b64encode(sealed).decode()


def unseal(key: bytes, purpose: str, text: str, kind: type[T]) -> T | None:
    """Return what was sealed with this key for this purpose; None for anything else."""
    try:
        raw = base64.urlsafe_b64decode(text.encode("ascii"))
        content = _cipher(key, purpose).decrypt(raw[:_NONCE], raw[_NONCE:], None)
        return msgspec.json.decode(content, type=kind)
    except (InvalidTag, ValueError, binascii.Error, msgspec.MsgspecError):
        return None
