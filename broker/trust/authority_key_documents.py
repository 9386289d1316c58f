# SPDX-FileCopyrightText: The trm-broker authors
# SPDX-License-Identifier: Apache-2.0
"""The public halves of an office's keys in a file: what the office hands to its member's officers, who list them.

They believe nothing in it because it says so: they compare its words with what somebody of the office reads to them.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from broker.core.errors import TrustListInvalid
from broker.core.ids import AuthorityId, CountryCode
from broker.core.messages import Party
from broker.core.rotation import PublicKey
from broker.core.trust import KeyUse
from broker.security import jwk
from broker.trust.strict import Fields, each, exactly, placed, read_json, write_json

__all__ = ["FORMAT", "OfferedKeys", "read_offered", "write_offered"]

FORMAT = "trm-authority-keys/1"


@dataclass(frozen=True, slots=True, kw_only=True)
class OfferedKeys:
    """Public keys that an office says are its own."""

    owner: Party
    keys: tuple[PublicKey, ...]


def write_offered(owner: Party, keys: Iterable[PublicKey]) -> bytes:
    """Return the file's bytes."""
    return write_json(
        {
            "format": FORMAT,
            "country": str(owner.country),
            "authority": str(owner.authority),
            "keys": [jwk.public_jwk(key.use, key.public) for key in keys],
        }
    )


def read_offered(raw: bytes, *, where: str) -> OfferedKeys:
    """Return what a file's bytes offer.

    Raises:
        TrustListInvalid: it is not such a file; ``where`` names file and place.
    """
    return placed(f"{where}: ", _offered, read_json(raw, where=where))


def _offered(data: Any) -> OfferedKeys:
    fields = Fields(data)
    fields.take("format", exactly(FORMAT))
    owner = Party(country=fields.take("country", CountryCode), authority=fields.take("authority", AuthorityId))
    keys = fields.take("keys", lambda value: each(value, _key))
    fields.finish()
    if len({key.kid for key in keys}) != len(keys):
        raise TrustListInvalid("Something is listed twice.", where="/keys")
    return OfferedKeys(owner=owner, keys=keys)


def _key(value: Mapping[str, Any]) -> PublicKey:
    use, public = jwk.public_from_jwk(value)
    if use is not KeyUse.HPKE:
        raise ValueError("not an encryption key")
    return PublicKey(kid=jwk.thumbprint(use, public), use=use, public=public)
