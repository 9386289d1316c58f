# SPDX-FileCopyrightText: The trm-broker authors
# SPDX-License-Identifier: Apache-2.0
"""Recovery keys: made and kept offline by officers; a node knows the public halves that it encrypts its backups to.

A private half lies in a file of the vault's format, under a passphrase of its own. Any one of several opens a backup.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from broker.core import canonical
from broker.core.characters import is_hidden
from broker.core.errors import BackupInvalid, BadRequest, HomeInvalid
from broker.core.ids import CountryCode, KeyId
from broker.core.trust import KeyUse
from broker.durable import not_written, write_durably
from broker.plain_files import read_plain
from broker.security import jwk
from broker.security.backup_file import RecoveryKey
from broker.security.suite import KeyRing, Opener
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
    "RECOVERY_FILE",
    "NamedKey",
    "accept",
    "accepted",
    "create_recovery_key",
    "end",
    "open_recovery_key",
    "read_public",
]

RECOVERY_FILE = "recovery-keys.json"  # in the home: public halves alone
_FORMAT = "trm-recovery-key/1"
_MAX_BYTES = 64 * 1024
_MAX_KEYS = 16
_MAX_LABEL = 100  # characters


@dataclass(frozen=True, slots=True, kw_only=True)
class NamedKey:
    """A public half and who keeps the private one."""

    country: CountryCode
    label: str  # the role, not the person
    key: RecoveryKey

    @property
    def kid(self) -> KeyId:
        """The thumbprint of the key."""
        return self.key.kid


def create_recovery_key(
    path: Path, country: CountryCode, label: str, *, passphrase: bytes, kdf: KdfParameters | None = None
) -> tuple[NamedKey, Path]:
    """Write a new key, encrypted, and beside it its public half; return that and where it is.

    Raises:
        HomeInvalid: there is such a file already, or the folder cannot be written.
        VaultLocked: the passphrase is empty.
        DiskFull: no room.
    """
    wrapper = PassphraseWrapper(passphrase, kdf)
    key = PrivateKey(use=KeyUse.HPKE, seed=jwk.generate(KeyUse.HPKE)[0])
    named = NamedKey(country=country, label=_label(label), key=RecoveryKey(public=key.public))
    write_offline_key(path, Entry.of(key, created=None), _json(_document(named)), country, wrapper)
    return named, public_beside(path)


def open_recovery_key(path: Path, passphrase: bytes) -> Opener:
    """Return the opener of a file that `create_recovery_key` wrote.

    Raises:
        HomeInvalid: there is no such file, or it holds something else.
        VaultLocked: the passphrase is not the one, or the file was changed.
    """
    keys = VaultFile(path, PassphraseWrapper(passphrase)).read().keys
    if len(keys) != 1 or keys[0].use is not KeyUse.HPKE:
        raise HomeInvalid("The file does not hold a recovery key.", where=str(path))
    return KeyRing({jwk.thumbprint(key.use, key.public): key.seed for key in keys})


def read_public(path: Path) -> NamedKey:
    """Return a public half that was handed over.

    Raises:
        BackupInvalid: it is none.
        HomeInvalid: the file cannot be read.
    """
    return _named(_read(path), path)


def accept(home: Path, named: NamedKey) -> tuple[NamedKey, ...]:
    """Let the node encrypt its backups to this key too; return all of them.

    Raises:
        BackupInvalid: there are too many, or the file of those that were accepted is damaged.
        HomeInvalid, DiskFull: it could not be written.
    """
    keys = {key.kid: key for key in (*accepted(home), named)}
    if len(keys) > _MAX_KEYS:
        raise BackupInvalid(f"More than {_MAX_KEYS} recovery keys are more than anybody can look after.")
    return _write(home, tuple(keys.values()))


def end(home: Path, kid: KeyId) -> tuple[NamedKey, ...]:
    """Let the node encrypt no further backup to this key; return those that are left.

    Raises:
        BadRequest: it encrypts to no such key, or to no other.
        BackupInvalid: the file of those that were accepted is damaged.
        HomeInvalid, DiskFull: it could not be read or written.
    """
    keys = accepted(home)
    left = tuple(named for named in keys if named.kid != kid)
    if left == keys:
        raise BadRequest("Backups of this node are encrypted to no recovery key of this id.", where=kid)
    if not left:
        raise BadRequest("It is the only recovery key: accept the next one first.", where=kid)
    return _write(home, left)


def accepted(home: Path) -> tuple[NamedKey, ...]:
    """Return the keys that this node encrypts its backups to.

    Raises:
        BackupInvalid: their file is damaged.
        HomeInvalid: it cannot be read.
    """
    file = home / RECOVERY_FILE
    if not file.exists():
        return ()
    keys = _read(file).get("keys")
    if not isinstance(keys, list):
        raise BackupInvalid("The file of recovery keys is damaged.", where=str(file))
    return tuple(_named(item, file) for item in keys)


def _write(home: Path, keys: tuple[NamedKey, ...]) -> tuple[NamedKey, ...]:
    try:
        write_durably(home / RECOVERY_FILE, _json({"keys": [_document(key) for key in keys]}), mode=0o644)
    except OSError as error:
        raise not_written(error, home, "The folder cannot be written") from None
    return keys


def _document(named: NamedKey) -> dict[str, Any]:
    return {
        "format": _FORMAT,
        "country": named.country,
        "label": named.label,
        "public": canonical.b64url_encode(named.key.public),
        "id": named.kid,
    }


def _named(item: Any, path: Path) -> NamedKey:
    try:
        key = RecoveryKey(public=canonical.b64url_decode(item["public"]))
        if item["format"] != _FORMAT or item["id"] != key.kid:
            raise ValueError("another thing")
        return NamedKey(country=CountryCode(item["country"]), label=_label(item["label"]), key=key)
    except (ValueError, TypeError, KeyError):
        raise BackupInvalid("This is not the public half of a recovery key.", where=str(path)) from None


def _label(text: str) -> str:
    if not 1 <= len(text) <= _MAX_LABEL or is_hidden(text):
        raise BackupInvalid(f"The name of a recovery key has 1 to {_MAX_LABEL} printable characters.", where="--label")
    return text


def _read(path: Path) -> dict[str, Any]:
    try:
        raw = read_plain(path, _MAX_BYTES)
        value = json.loads(raw) if len(raw) <= _MAX_BYTES else None
    except OSError as error:
        raise HomeInvalid(f"The file cannot be read ({type(error).__name__}).", where=str(path)) from None
    except (ValueError, RecursionError):
        value = None
    if not isinstance(value, dict):
        raise BackupInvalid("This is not a file of recovery keys.", where=str(path))
    return value


def _json(document: dict[str, Any]) -> bytes:
    return json.dumps(document, indent=2, ensure_ascii=False).encode("utf-8") + b"\n"
