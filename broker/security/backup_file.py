# SPDX-FileCopyrightText: The trm-broker authors
# SPDX-License-Identifier: Apache-2.0
"""The cryptography of a backup file: encrypted to recovery keys whose private halves are kept offline.

- A fresh file key encrypts the chunks (AES-256-GCM) in the STREAM construction (Hoang, Reyhanitabar, Rogaway, Vizár 2015):
  the nonce is the chunk's number and whether it is the last, so no chunk can be moved, doubled, dropped or cut off.
- The file key is encrypted to each recovery key by the hybrid KEM of the envelopes (HPKE-9-KE): a backup that is copied
  today is worth nothing to a quantum computer of later. Who writes backups cannot read older ones.
- Anybody can encrypt to a public key: that a backup is a node's own is said by its signature over the whole file.
- Every chunk is bound to the header, and with it to country, kind and recipients.
"""

from __future__ import annotations

import secrets
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from hashlib import sha256
from typing import Any

from cryptography.exceptions import InvalidSignature, InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from broker.core import canonical
from broker.core.content import time_from_text, time_to_text
from broker.core.errors import BackupInvalid, BrokerError, DecryptFailed, NotCanonical
from broker.core.ids import CountryCode, Digest, KeyId
from broker.core.trust import KeyUse
from broker.security import jwk, primitives, suite
from broker.security.checkpoints import read_statement, sign_statement
from broker.security.suite import Opener, Signer

__all__ = [
    "CHUNK_BYTES", "FORMAT", "TAG_BYTES", "BackupHead", "FileCipher", "RecoveryKey", "SignedBackup", "begin", "check_signature",
    "open_head", "read_head", "sign_backup",
]  # fmt: skip

FORMAT = "trm-backup/1"
CHUNK_BYTES = 1024 * 1024  # of plaintext; the last chunk may be shorter
TAG_BYTES = 16
_KEY_BYTES = 32
_INFO = b"trm-backup/1 file key\xff"
_SIGNED = "trm-backup+jws"
_HEAD = {"country", "format", "kind", "made", "recipients"}


@dataclass(frozen=True, slots=True, kw_only=True)
class RecoveryKey:
    """The public half of a key that opens backups."""

    public: bytes

    @property
    def kid(self) -> KeyId:
        """The thumbprint: what two people read to each other."""
        return jwk.thumbprint(KeyUse.HPKE, self.public)


@dataclass(frozen=True, slots=True, kw_only=True)
class BackupHead:
    """What a backup file says in clear about itself; believed when a chunk opens under it."""

    country: CountryCode
    kind: str
    made: str  # as `core.content.time_to_text` writes it
    kids: tuple[KeyId, ...]  # of the recovery keys that open it


class FileCipher:
    """Encrypts or opens the chunks of one file, in their order."""

    def __init__(self, key: bytes, head: bytes) -> None:
        """Args:
        key: the file key.
        head: the header's bytes.
        """
        self._key = key
        self._cipher = AESGCM(key)
        self._head = head
        self._bound = sha256(head).digest()
        self._count = 0

    def again(self) -> FileCipher:
        """Return the cipher at the file's beginning: to read back what was just written."""
        return FileCipher(self._key, self._head)

    def seal(self, plain: bytes, *, last: bool) -> bytes:
        """Return the next chunk encrypted."""
        return self._cipher.encrypt(self._nonce(last=last), plain, self._bound)

    def open(self, sealed: bytes, *, last: bool) -> bytes:
        """Return the next chunk's plaintext.

        Raises:
            BackupInvalid: it is not the next chunk of this file.
        """
        try:
            return self._cipher.decrypt(self._nonce(last=last), sealed, self._bound)
        except (InvalidTag, ValueError):
            raise BackupInvalid("A part of the backup is damaged, missing or in another place.") from None

    def _nonce(self, *, last: bool) -> bytes:
        number, self._count = self._count, self._count + 1
        return number.to_bytes(11, "big") + bytes([last])


def begin(*, country: CountryCode, kind: str, made: str, recipients: Iterable[RecoveryKey]) -> tuple[bytes, FileCipher]:
    """Return the header of a new backup file and what encrypts its chunks.

    Raises:
        BackupInvalid: there is nobody who could open it, or a key is none.
    """
    key = secrets.token_bytes(_KEY_BYTES)
    wrapped = [_wrapped(key, recipient) for recipient in recipients]
    if not wrapped:
        raise BackupInvalid("There is no recovery key that a backup could be encrypted to.")
    head = canonical.dump(
        {"country": country, "format": FORMAT, "kind": kind, "made": made, "recipients": wrapped}
    )  # fmt: skip
    return head, FileCipher(key, head)


def read_head(raw: bytes) -> BackupHead:
    """Return what a header says.

    Raises:
        BackupInvalid: it is not the header of a backup that this program knows.
    """
    return _parsed(raw)[0]


def open_head(raw: bytes, opener: Opener) -> FileCipher:
    """Return what opens the chunks, by the first recovery key that is held.

    Raises:
        BackupInvalid: it is no header, none of its recovery keys is held, or it does not open.
    """
    head, wrapped = _parsed(raw)
    held = next((number for number, kid in enumerate(head.kids) if opener.holds(kid)), None)
    if held is None:
        raise BackupInvalid("The backup is not encrypted to this recovery key.", where=", ".join(head.kids))
    ek, ciphertext = wrapped[held]
    try:
        key = opener.open(head.kids[held], ek=ek, ciphertext=ciphertext, info=_INFO)
    except DecryptFailed:
        raise BackupInvalid("The backup does not open under its recovery key: its header was changed.") from None
    if len(key) != _KEY_BYTES:
        raise BackupInvalid("The backup does not open under its recovery key: its header was changed.")
    return FileCipher(key, raw)


@dataclass(frozen=True, slots=True, kw_only=True)
class SignedBackup:
    """The signed end of a backup file: whose it is, and the digest of everything before."""

    digest: Digest
    kids: tuple[KeyId, KeyId]


def sign_backup(digest: Digest, head: BackupHead, signer: Signer, publics: Mapping[KeyId, bytes]) -> bytes:
    """Return the end of a backup file: both signatures, and the public keys that verify them."""
    payload = canonical.dump(
        {"country": head.country, "digest": digest, "kind": head.kind, "made": head.made, "v": 1}
    )  # fmt: skip
    signed = sign_statement(payload, _SIGNED, signer)
    keys = [canonical.b64url_encode(publics[kid]) for kid in (signer.ed25519_kid, signer.ml_dsa_kid)]
    return canonical.dump({"keys": keys, "signed": canonical.parse(signed)})


def check_signature(raw: bytes, digest: Digest, head: BackupHead) -> SignedBackup:
    """Return the end of a file, its signatures verified by the keys in it: whose keys those are, the vault must tell.

    Raises:
        BackupInvalid: it is not signed as it stands.
    """
    try:
        return _checked(raw, digest, head)
    except (BrokerError, InvalidSignature, ValueError, TypeError, KeyError, AttributeError):
        raise BackupInvalid("The backup's signature is not right for it: it was changed, or cut off.") from None


def _checked(raw: bytes, digest: Digest, head: BackupHead) -> SignedBackup:
    end = canonical.parse(raw)
    statement = read_statement(canonical.dump(end["signed"]), _SIGNED)
    ed25519, ml_dsa = (canonical.b64url_decode(key) for key in end["keys"])
    said = {"country": head.country, "digest": digest, "kind": head.kind, "made": head.made, "v": 1}
    named = (jwk.thumbprint(KeyUse.ED25519, ed25519), jwk.thumbprint(KeyUse.ML_DSA_65, ml_dsa))
    if end.keys() != {"keys", "signed"} or canonical.parse(statement.payload) != said or statement.kids != named:
        raise ValueError("another file's signature")
    primitives.ed25519_public(ed25519).verify(statement.values[0], statement.inputs[0])
    primitives.ml_dsa_public(ml_dsa).verify(statement.values[1], statement.inputs[1])
    return SignedBackup(digest=digest, kids=statement.kids)


def _wrapped(key: bytes, recipient: RecoveryKey) -> dict[str, Any]:
    try:
        public = primitives.hpke_public(recipient.public)
    except ValueError:
        raise BackupInvalid("A recovery key is not a public key.") from None
    sealed = suite.hpke().encrypt(key, public, _INFO)
    return {
        "ek": canonical.b64url_encode(sealed[: suite.EK_LENGTH]),
        "encrypted_key": canonical.b64url_encode(sealed[suite.EK_LENGTH :]),
        "kid": recipient.kid,
    }


def _parsed(raw: bytes) -> tuple[BackupHead, tuple[tuple[bytes, bytes], ...]]:
    try:
        value = canonical.parse(raw)
        if value.keys() != _HEAD or value["format"] != FORMAT or not isinstance(value["kind"], str):
            raise ValueError("another format")
        made = time_to_text(time_from_text(value["made"]))
        kids = tuple(KeyId(item["kid"]) for item in value["recipients"])
        wrapped = tuple(
            (canonical.b64url_decode(item["ek"]), canonical.b64url_decode(item["encrypted_key"]))
            for item in value["recipients"]
        )
        head = BackupHead(country=CountryCode(value["country"]), kind=value["kind"], made=made, kids=kids)
    except (NotCanonical, ValueError, TypeError, KeyError, AttributeError):
        raise BackupInvalid("The file is not a backup, or one of a newer program.") from None
    return head, wrapped
