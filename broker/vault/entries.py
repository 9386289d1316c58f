# SPDX-FileCopyrightText: The trm-broker authors
# SPDX-License-Identifier: Apache-2.0
"""What a vault holds: entries of a kind, each with its material until it is destroyed."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any

from broker.core import canonical
from broker.core.ids import KeyId
from broker.core.trust import KeyUse
from broker.security import at_rest, jwk
from broker.security.at_rest import EpochRing

__all__ = ["AT_REST", "Entry", "EntryKind", "EntryState", "PrivateKey", "parse_entries", "ring_of", "write_entries"]

_TIME = "%Y-%m-%dT%H:%M:%SZ"


class EntryKind(StrEnum):
    """What an entry's material is; the names of the envelope's keys are those of their use."""

    ED25519 = KeyUse.ED25519.value
    ML_DSA_65 = KeyUse.ML_DSA_65.value
    HPKE = KeyUse.HPKE.value
    WRAPPING = "wrapping"  # wraps the keys of cases during one epoch
    INDEX = "index"  # makes the tokens that names are searched by


AT_REST = (EntryKind.WRAPPING, EntryKind.INDEX)  # secret keys, known to nobody else; the others are halves of key pairs


class EntryState(StrEnum):
    """A destroyed entry stays as a mark, so that people see what was held here and until when."""

    HELD = "held"
    DESTROYED = "destroyed"


@dataclass(frozen=True, slots=True, kw_only=True)
class PrivateKey:
    """A private key on its way into or out of the file; its text form shows nothing of it."""

    use: KeyUse
    seed: bytes = field(repr=False)

    @property
    def public(self) -> bytes:
        """The raw public key."""
        return jwk.public_of(self.use, self.seed)


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One thing in the vault; its text form shows nothing of its material."""

    kind: EntryKind
    id: str  # of a key pair: its thumbprint; of a key at rest: its number
    material: bytes | None = field(repr=False)  # of a key pair: its seed; None once destroyed
    created: datetime | None = None  # whole seconds; None: not known, it comes from a vault of version 1
    destroyed: datetime | None = None

    @classmethod
    def of(cls, key: PrivateKey, *, created: datetime | None) -> Entry:
        """Return the entry of a private key."""
        kid = jwk.thumbprint(key.use, key.public)
        return cls(kind=EntryKind(key.use.value), id=kid, material=key.seed, created=created)

    @classmethod
    def at_rest(cls, kind: EntryKind, number: int, *, created: datetime | None) -> Entry:
        """Return the entry of a fresh key for data at rest."""
        return cls(kind=kind, id=str(number), material=at_rest.new_key(), created=created)

    @property
    def state(self) -> EntryState:
        """Whether its material is here."""
        return EntryState.DESTROYED if self.material is None else EntryState.HELD

    @property
    def use(self) -> KeyUse:
        """What the key pair is for.

        Raises:
            ValueError: it is a key at rest.
        """
        return KeyUse(self.kind.value)

    @property
    def kid(self) -> KeyId:
        """The key's thumbprint."""
        return KeyId(self.id)

    @property
    def key(self) -> PrivateKey:
        """The private key.

        Raises:
            RuntimeError: it is destroyed.
        """
        if self.material is None:
            raise RuntimeError("a destroyed entry has no key")
        return PrivateKey(use=self.use, seed=self.material)

    def without_material(self, at: datetime) -> Entry:
        """Return the mark that stays when the material is destroyed."""
        return replace(self, material=None, destroyed=at.replace(microsecond=0))


def ring_of(entries: Iterable[Entry]) -> EpochRing:
    """Return the keys for data at rest that these entries hold."""
    held = [(entry.kind, int(entry.id), entry.material) for entry in entries if entry.kind in AT_REST]
    epochs = {number: key for kind, number, key in held if kind is EntryKind.WRAPPING and key is not None}
    index = [key for kind, _, key in held if kind is EntryKind.INDEX and key is not None]
    return EpochRing(epochs, index[-1] if index else None)


def write_entries(entries: Iterable[Entry]) -> list[dict[str, str | None]]:
    """Return the JSON form."""
    return [
        {
            "kind": entry.kind.value,
            "id": entry.id,
            "state": entry.state.value,
            "created": _text(entry.created),
            "destroyed": _text(entry.destroyed),
            "material": None if entry.material is None else canonical.b64url_encode(entry.material),
        }
        for entry in entries
    ]


def parse_entries(data: Any) -> tuple[Entry, ...]:
    """Return the entries of their JSON form.

    Raises:
        ValueError, KeyError, TypeError: not of that form, a kind that this program does not know, or an id that is not
            the material's.
    """
    entries = tuple(_entry(item) for item in data)
    if len({(entry.kind, entry.id) for entry in entries}) != len(entries):
        raise ValueError("an entry twice")
    return entries


def _entry(item: Any) -> Entry:
    material = None if item["material"] is None else canonical.b64url_decode(item["material"])
    entry = Entry(
        kind=EntryKind(item["kind"]),
        id=item["id"],
        material=material,
        created=_time(item["created"]),
        destroyed=_time(item["destroyed"]),
    )
    if item["state"] != entry.state or (entry.destroyed is None) == (material is None):
        raise ValueError("a state that is not the material's")
    if entry.kind in AT_REST:
        _check_at_rest(entry)
    elif material is not None and jwk.thumbprint(entry.use, jwk.public_of(entry.use, material)) != entry.id:
        raise ValueError("an id that is not the material's")
    return entry


def _check_at_rest(entry: Entry) -> None:
    if str(int(entry.id)) != entry.id or int(entry.id) < 1:
        raise ValueError("a number that is none")
    if entry.material is not None and len(entry.material) != at_rest.KEY_BYTES:
        raise ValueError("a key that is none")


def _text(moment: datetime | None) -> str | None:
    return None if moment is None else moment.astimezone(UTC).strftime(_TIME)


def _time(text: Any) -> datetime | None:
    return None if text is None else datetime.strptime(text, _TIME).replace(tzinfo=UTC)
