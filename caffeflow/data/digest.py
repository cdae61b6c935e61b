"""The digest of a split: SHA-256 over the records in order, in a form that workers share and that resumes.

Each record is hashed by itself, in the worker that made it; the chain over these hashes is 32 bytes
that the journal can hold: `chain = sha256(chain + sha256(key + NUL + value))`, from 32 zeros on.
"""

from __future__ import annotations

from hashlib import sha256
from typing import Final

CHAIN_START: Final = bytes(32)


def record_digest(key: bytes, value: bytes | bytearray | memoryview) -> bytes:
    """Returns the hash of one record; for a list, the key is its line and the value the file."""
    digest = sha256(key + b"\0")
    digest.update(value)
    return digest.digest()


def extend(chain: bytes, digest: bytes) -> bytes:
    """Returns the chain with one more record."""
    return sha256(chain + digest).digest()


def label_of(chain: bytes) -> str:
    """Returns a chain as the manifest shows it."""
    return f"sha256:{chain.hex()}"
