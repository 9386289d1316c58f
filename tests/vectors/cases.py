# SPDX-FileCopyrightText: The trm-broker authors
# SPDX-License-Identifier: Apache-2.0
"""What all vectors share: the moment, the members with their keys, an ordinary message; and the form of a case."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from forge import ED25519, HYBRID, ML_DSA, NEVER_USE, Forge, Key, b64, dump

NOW = datetime(2026, 11, 22, 3, 0, tzinfo=UTC)
YEAR = timedelta(days=365)
MESSAGE_ID = "019aa9c1-7c00-7abc-8def-0123456789ab"
NONCE = "AAECAwQFBgcICQoLDA0ODw"
TRM = {
    "exercise": False,
    "exp": int((NOW + timedelta(days=30)).timestamp()),
    "from": "EE",
    "id": MESSAGE_ID,
    "to": "FI",
    "v": 1,
}


def text(moment: datetime) -> str:
    """Return the one spelling of a time."""
    return moment.strftime("%Y-%m-%dT%H:%M:%S.") + f"{moment.microsecond // 1000:03d}Z"


def listed(
    key: Key,
    *,
    not_before: datetime = NOW - timedelta(days=100),
    sign_until: datetime = NOW + timedelta(days=200),
    accept_until: datetime = NOW + timedelta(days=265),
    revoked_at: datetime | None = None,
) -> dict[str, Any]:
    """Return a key as the trust list has it."""
    return {
        "jwk": key.jwk,
        "not_before": text(not_before),
        "sign_until": text(sign_until),
        "accept_until": text(accept_until),
        "revoked_at": None if revoked_at is None else text(revoked_at),
    }


def keys(country: str, generation: int = 1) -> tuple[Key, Key, Key]:
    """Return a member's keys of one generation: Ed25519, ML-DSA-65, encryption."""
    return Key(country, ED25519, generation), Key(country, ML_DSA, generation), Key(country, HYBRID, generation)


def member(*listed_keys: dict[str, Any], status: str = "ACTIVE") -> dict[str, Any]:
    """Return a member as the trust list has it."""
    return {"status": status, "keys": list(listed_keys)}


EE, FI, SE = keys("EE"), keys("FI"), keys("SE")
EE_NEW = keys("EE", 2)
FI_NEW = keys("FI", 2)
MEMBERS = {"EE": member(listed(EE[0]), listed(EE[1])), "FI": member(listed(FI[2]))}  # every file repeats them
EVERYONE = {"EE": member(*map(listed, EE)), "FI": member(*map(listed, FI)), "SE": member(*map(listed, SE))}


def with_sender(*listed_keys: dict[str, Any], status: str = "ACTIVE") -> dict[str, Any]:
    """Return the members with other keys or another status of the sender."""
    return {**MEMBERS, "EE": member(*listed_keys, status=status)}


HEADER: dict[str, Any] = {
    "id": MESSAGE_ID,
    "type": "family-tracing.request",
    "version": "1.0",
    "sender": {"country": "EE", "authority": "social-insurance-board"},
    "recipient": {"country": "FI", "authority": "central-authority"},
    "created": text(NOW - timedelta(minutes=1)),
    "exercise": False,
    "nonce": NONCE,
    "parents": [],
    "language": "en",
    "urgency": "URGENT",
    "purpose": "FAMILY_TRACING",
    "case_ref": "CR-0123456789ABCDEFGHJK",
    "legal_basis": {"code": "BRUSSELS_IIB_80_1_B"},
    "procedure": {
        "id": "019aa9c1-7c00-7abc-8def-0123456789ac",
        "name": "family-tracing",
        "version": "1.0",
        "digest": "0" * 64,
    },
}
BODY = {
    "note": "Synthetic test content about nobody.",
    "sought": {"given_names": "Test-Maarika", "family_name": "Näidis"},
}


def message(body: Any = BODY, **header: Any) -> dict[str, Any]:
    """Return an ordinary message with some members of its header changed; None takes one away."""
    changed = {name: value for name, value in {**HEADER, **header}.items() if value is not None}
    return {"header": changed, "body": body}


def forge(**changes: Any) -> Forge:
    """Return how the ordinary envelope is made, with some steps changed; `trm` members may be given by `profile`."""
    profile = changes.pop("profile", {})
    plain = {"trm": {**TRM, **profile}, "content": dump(message()), "signers": EE[:2], "recipient": FI[2]}
    return Forge(**{**plain, **changes})


@dataclass(frozen=True, kw_only=True)
class Case:
    """One vector: how it is made and what must come out."""

    name: str
    comment: str
    make: Callable[[], bytes]
    expect: str = "ok"
    layer: str | None = None
    now: datetime = NOW
    members: dict[str, Any] = field(default_factory=lambda: MEMBERS)
    holds: tuple[Key, ...] = (FI[2],)
    message: dict[str, Any] | None = None  # for ok
    pad: tuple[str, int] | None = None  # bytes to add after the envelope, and how many

    def document(self) -> bytes:
        """Return the vector file."""
        vector = {
            "name": self.name,
            "comment": self.comment,
            "expect": self.expect,
            "layer": self.layer,
            "now": text(self.now),
            "recipient": {
                "member": "FI",
                "note": NEVER_USE,
                "keys": [{"note": NEVER_USE, "jwk": key.private_jwk} for key in self.holds],
            },
            "members": self.members,
            "envelope": b64(self.make()),
        }
        if self.pad is not None:
            vector["envelope_pad"] = {"byte": self.pad[0], "count": self.pad[1]}
        if self.message is not None:
            vector["message"] = self.message
        return json.dumps(vector, indent=1, ensure_ascii=False).encode() + b"\n"


def accepted(name: str, comment: str, says: dict[str, Any] | None = None, **options: Any) -> Case:
    """Return a case that must be accepted."""
    place = {option: options.pop(option) for option in ("now", "members", "holds") if option in options}
    says = says or message()
    made = forge(content=dump(says), **options)
    return Case(name=name, comment=comment, message=says, make=made.build, **place)


def refused(layer: str, code: str, name: str, comment: str, **options: Any) -> Case:
    """Return a case with one fault, refused by that layer with that code."""
    place = {option: options.pop(option) for option in ("now", "members", "holds", "pad") if option in options}
    return Case(name=name, comment=comment, expect=code, layer=layer, make=forge(**options).build, **place)


def without(name: str) -> Callable[[dict[str, Any]], dict[str, Any]]:
    """Return a step that takes one member away."""
    return lambda value: {key: item for key, item in value.items() if key != name}


def plus(**members: Any) -> Callable[[dict[str, Any]], dict[str, Any]]:
    """Return a step that sets members."""
    return lambda value: {**value, **members}


def flip(raw: bytes, at: int = 0) -> bytes:
    """Return the bytes with one bit of one byte changed."""
    changed = bytearray(raw)
    changed[at] ^= 1
    return bytes(changed)
