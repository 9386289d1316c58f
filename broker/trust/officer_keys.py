# SPDX-FileCopyrightText: The trm-broker authors
# SPDX-License-Identifier: Apache-2.0
"""The keys that officers sign the trust list with: ML-DSA-65 only, so that no quantum computer can forge the list later.

A trust list is worth forging for as long as somebody believes the root that it hangs on: years, longer than any message
stays secret by it. The private part lies in a file of the vault's format and is opened for one signature.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives.asymmetric.mldsa import MLDSA65PrivateKey, MLDSA65PublicKey
from cryptography.hazmat.primitives.serialization import load_pem_public_key
from securesystemslib.signer import CryptoSigner, Key, SSlibKey

from broker.core.characters import is_line
from broker.core.errors import HomeInvalid, TrustListInvalid
from broker.core.ids import CountryCode
from broker.core.trust import KeyUse, TrustRule
from broker.security import jwk
from broker.trust.strict import Fields, exactly, placed, read_json, write_json
from broker.vault import (
    Entry,
    KdfParameters,
    PassphraseWrapper,
    PrivateKey,
    VaultFile,
    public_beside,
    write_offline_key,
)

__all__ = [
    "Officer", "OfficerKey", "create_officer_key", "generate_officer_key", "officer_of", "open_officer_key", "read_officer", "tuf_key",
    "write_officer",
]  # fmt: skip

FORMAT = "trm-officer/1"
_LABEL, _COUNTRY = "x-trm-label", "x-trm-country"
_MAX_LABEL = 100  # characters


@dataclass(frozen=True, slots=True, kw_only=True)
class Officer:
    """The public part: who it is, and what is verified with."""

    country: CountryCode  # which country's officer
    label: str  # the role, not the person: "officer 2"
    public: bytes  # raw ML-DSA-65 public key

    @property
    def keyid(self) -> str:
        """The name of the key in the list's metadata: SHA-256 in hex, what two people read to each other."""
        return tuf_key(self).keyid


class OfficerKey:
    """An opened private key; signs, and never comes out again."""

    def __init__(self, officer: Officer, seed: bytes) -> None:
        """Args:
        officer: the public part.
        seed: of the private part.
        """
        self.officer = officer
        self.signer = CryptoSigner(MLDSA65PrivateKey.from_seed_bytes(seed), _sslib_key(officer))

    def __repr__(self) -> str:
        return f"OfficerKey({self.officer.country}, {self.officer.label!r})"


def generate_officer_key(country: CountryCode, label: str) -> tuple[OfficerKey, bytes]:
    """Return a new key and the seed that it is kept by."""
    seed, public = jwk.generate(KeyUse.ML_DSA_65)
    return OfficerKey(Officer(country=country, label=label, public=public), seed), seed


def create_officer_key(
    path: Path, country: CountryCode, label: str, *, passphrase: bytes, kdf: KdfParameters | None = None
) -> Officer:
    """Write a new key, encrypted, and beside it its public part (``<path>.public.json``); return that.

    Raises:
        HomeInvalid: there is such a file already, or the folder cannot be written.
        VaultLocked: the passphrase is empty.
        DiskFull: no room.
    """
    wrapper = PassphraseWrapper(passphrase, kdf)
    key, seed = generate_officer_key(country, label)
    entry = Entry.of(PrivateKey(use=KeyUse.ML_DSA_65, seed=seed), created=None)
    write_offline_key(path, entry, write_officer(key.officer), country, wrapper)
    return key.officer


def open_officer_key(path: Path, passphrase: bytes) -> OfficerKey:
    """Return the opened key of a file that `create_officer_key` wrote.

    Raises:
        HomeInvalid: there is no such file, or it holds something else.
        VaultLocked: the passphrase is not the one, or the file was changed.
    """
    contents = VaultFile(path, PassphraseWrapper(passphrase)).read()
    keys = contents.keys
    if len(keys) != 1 or keys[0].use is not KeyUse.ML_DSA_65:
        raise HomeInvalid("The file does not hold an officer's key.", where=str(path))
    officer = Officer(country=contents.us, label=_label_beside(path), public=keys[0].public)
    return OfficerKey(officer, keys[0].seed)


def write_officer(officer: Officer) -> bytes:
    """Return the public document's bytes: what an officer gives to the ceremony."""
    return write_json(
        {
            "format": FORMAT,
            "country": str(officer.country),
            "label": officer.label,
            "jwk": jwk.public_jwk(KeyUse.ML_DSA_65, officer.public),
        }
    )


def read_officer(raw: bytes, *, where: str) -> Officer:
    """Return the officer of a public document's bytes.

    Raises:
        TrustListInvalid: it is not one; ``where`` names the place.
    """
    return placed(f"{where}: ", _officer, read_json(raw, where=where))


def tuf_key(officer: Officer) -> Key:
    """Return the key as the list's metadata name it."""
    key = _sslib_key(officer)
    key.unrecognized_fields[_LABEL] = officer.label
    key.unrecognized_fields[_COUNTRY] = str(officer.country)
    return key


def officer_of(key: Key) -> Officer:
    """Return the officer whose key stands in verified metadata.

    Raises:
        TrustListInvalid: it is another kind of key, or stands under a name that is not its own.
    """
    try:
        public = load_pem_public_key(key.keyval["public"].encode("ascii"))
        if (key.keytype, key.scheme) != ("ml-dsa", "ml-dsa-65/1") or not isinstance(public, MLDSA65PublicKey):
            raise ValueError("another kind of key")
        officer = Officer(
            country=CountryCode(key.unrecognized_fields.get(_COUNTRY, "")),
            label=_text(key.unrecognized_fields.get(_LABEL)),
            public=public.public_bytes_raw(),
        )
    except (ValueError, KeyError, TypeError, AttributeError):
        raise TrustListInvalid("A key of the list is not an officer's key.", rule=TrustRule.ALGORITHM) from None
    if officer.keyid != key.keyid:  # otherwise one key under two names would count twice towards a threshold
        raise TrustListInvalid("A key of the list stands under another name.", rule=TrustRule.ALGORITHM)
    return officer


def _sslib_key(officer: Officer) -> SSlibKey:
    return SSlibKey.from_crypto(MLDSA65PublicKey.from_public_bytes(officer.public))


def _officer(data: Any) -> Officer:
    fields = Fields(data)
    fields.take("format", exactly(FORMAT))
    officer = Officer(
        country=fields.take("country", CountryCode),
        label=fields.take("label", _text),
        public=fields.take("jwk", _ml_dsa),
    )
    fields.finish()
    return officer


def _ml_dsa(value: Mapping[str, Any]) -> bytes:
    use, public = jwk.public_from_jwk(value)
    if use is not KeyUse.ML_DSA_65:
        raise ValueError("another algorithm")
    return public


def _text(value: Any) -> str:
    if not isinstance(value, str) or len(value) > _MAX_LABEL or not is_line(value):
        raise ValueError("not a label")
    return value


def _label_beside(path: Path) -> str:
    """Return the label in the public file beside a key; it signs nothing, so a missing one does no harm."""
    try:
        return read_officer(public_beside(path).read_bytes(), where=str(path)).label
    except (OSError, TrustListInvalid):
        return path.name[:_MAX_LABEL]
