# SPDX-FileCopyrightText: The trm-broker authors
# SPDX-License-Identifier: Apache-2.0
"""Where private keys live: one file, AES-256-GCM under Argon2id of a passphrase, its header authenticated.

Python cannot wipe memory: while the node runs, the opened keys are in its memory, and whoever reads that has them.
"""

from __future__ import annotations

import getpass
import json
import os
import re
import secrets
import sys
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.argon2 import Argon2id

from broker.core import canonical
from broker.core.errors import DiskFull, HomeInvalid, KeyMissing, NotCanonical, SettingsInvalid, VaultLocked
from broker.core.ids import CountryCode, KeyId
from broker.core.trust import KeyUse, Member, MemberKey, TrustList
from broker.durable import is_full, write_durably
from broker.security import jwk
from broker.security.suite import KeyPairSigner, KeyRing, Opener, Signer
from broker.settings import Settings

__all__ = ["DEFAULT_KDF", "UNSAFE_DEV_KDF", "FileVault", "KdfParameters", "PrivateKey", "read_passphrase"]

_FORMAT = "trm-vault"
_VERSION = 1
_SALT_BYTES = 16
_NONCE_BYTES = 12
_KEY_BYTES = 32
_MAX_BYTES = 1024 * 1024  # of the file
_MAX_MEMORY_KIB = 1024 * 1024  # a file with other numbers is not ours: it must not exhaust the machine
_MAX_ITERATIONS = 64
_MAX_LANES = 64
_MAX_PASSPHRASE_BYTES = 4096
_CREDENTIAL = "trm-passphrase"


@dataclass(frozen=True, slots=True, kw_only=True)
class KdfParameters:
    """The cost of trying one passphrase."""

    memory_kib: int
    iterations: int
    lanes: int


DEFAULT_KDF = KdfParameters(memory_kib=65_536, iterations=3, lanes=4)  # RFC 9106, second recommended option
UNSAFE_DEV_KDF = KdfParameters(memory_kib=64, iterations=1, lanes=1)  # tests and demonstration only: guessed in no time


@dataclass(frozen=True, slots=True, kw_only=True)
class PrivateKey:
    """A private key on its way into or out of the file; its text form shows nothing of it."""

    use: KeyUse
    seed: bytes = field(repr=False)

    @property
    def public(self) -> bytes:
        """The raw public key."""
        return jwk.public_of(self.use, self.seed)


class FileVault:
    """This node's private keys, opened; they never come out again."""

    def __init__(self, us: CountryCode, keys: Iterable[PrivateKey]) -> None:
        """Args:
        us: the member whose keys these are.
        keys: what the file holds; `open` reads it.
        """
        self._us = us
        held = {jwk.thumbprint(key.use, key.public): key for key in keys}
        self._signing = {kid: key for kid, key in held.items() if key.use is not KeyUse.HPKE}
        self._ring = KeyRing({kid: key.seed for kid, key in held.items() if key.use is KeyUse.HPKE})
        self._public = tuple((kid, key.use, key.public) for kid, key in held.items())
        self._signers: dict[tuple[KeyId, KeyId], KeyPairSigner] = {}

    def __repr__(self) -> str:
        return f"FileVault({self._us}, {len(self._public)} keys)"

    @classmethod
    def create(
        cls,
        path: Path,
        passphrase: bytes,
        keys: Iterable[PrivateKey],
        *,
        us: CountryCode,
        kdf: KdfParameters = DEFAULT_KDF,
    ) -> FileVault:
        """Write a new vault file, durable and readable for its owner only, and return it opened.

        Raises:
            HomeInvalid: there is a vault already (it is never written over), or the folder cannot be written.
            VaultLocked: the passphrase is empty.
            DiskFull: no room; nothing is left behind.
        """
        keys = tuple(keys)
        if os.path.lexists(path):
            raise HomeInvalid("There is a vault already; it is never written over.", where=str(path))
        raw = _encrypt(us, _checked(passphrase), keys, kdf)
        try:
            write_durably(path, raw)
        except OSError as error:
            if is_full(error):
                raise DiskFull(where=str(path)) from None
            raise HomeInvalid(f"The vault cannot be written ({type(error).__name__}).", where=str(path)) from None
        return cls(us, keys)

    @classmethod
    def open(cls, path: Path, passphrase: bytes) -> FileVault:
        """Return the opened vault.

        Raises:
            HomeInvalid: there is no vault file, or it is not one.
            VaultLocked: the passphrase is not the one, or the file was changed.
        """
        us, keys = _decrypt(_read(path), _checked(passphrase), path)
        return cls(us, keys)

    def signer(self, trust: TrustList, now: datetime) -> Signer:
        """Return a signer over the newest signing keys that the trust list allows now and that are here.

        Raises:
            KeyMissing: there is no such pair.
        """
        member = trust.members.get(self._us)
        if member is None:
            raise KeyMissing("The trust list does not name this node's country.", where=str(self._us))
        ed25519 = self._newest(member, KeyUse.ED25519, now)
        ml_dsa = self._newest(member, KeyUse.ML_DSA_65, now)
        pair = (ed25519.kid, ml_dsa.kid)
        if pair not in self._signers:
            self._signers[pair] = KeyPairSigner(self._signing[ed25519.kid].seed, self._signing[ml_dsa.kid].seed)
        return self._signers[pair]

    def opener(self) -> Opener:
        """Return the opener over all private encryption keys that are here."""
        return self._ring

    def public_keys(self) -> tuple[tuple[KeyId, KeyUse, bytes], ...]:
        """Return id, use and raw public key of everything held."""
        return self._public

    def _newest(self, member: Member, use: KeyUse, now: datetime) -> MemberKey:
        usable = [key for key in member.keys if key.use is use and key.usable(now) and key.kid in self._signing]
        if not usable:
            raise KeyMissing(
                f"No {use} key is both usable now by the trust list and in the vault.", where=member.country
            )
        return max(usable, key=lambda key: key.not_before)


def read_passphrase(settings: Settings) -> bytes:
    """Return the vault's passphrase from where the settings say it comes from.

    Raises:
        VaultLocked: that place gives none.
        SettingsInvalid: it is not a place.
    """
    source = settings.passphrase_file
    folder = os.environ.get("CREDENTIALS_DIRECTORY")
    if source is None and folder and (Path(folder) / _CREDENTIAL).is_file():
        source = f"credential:{_CREDENTIAL}"
    if source is None or source == "prompt":
        return _prompted()
    if source.startswith("fd:"):
        return _from_descriptor(source, settings)
    if source.startswith("credential:"):
        name = source.removeprefix("credential:")
        if not folder or re.fullmatch(r"[A-Za-z0-9._-]+", name) is None or name in {".", ".."}:
            raise VaultLocked("systemd gave this process no credential of that name.", where="passphrase_file")
        return _from_file(Path(folder) / name)
    return _from_file(settings.home / source)


def _prompted() -> bytes:
    if not sys.stdin.isatty():
        raise VaultLocked(
            "Nobody can be asked for the passphrase here; set `passphrase_file`.", where="passphrase_file"
        )
    return _checked(getpass.getpass("Passphrase of the vault: ").encode("utf-8"))


def _from_descriptor(source: str, settings: Settings) -> bytes:
    number = source.removeprefix("fd:")
    if not number.isascii() or not number.isdecimal():
        raise SettingsInvalid("`fd:` is followed by a number.", where=f"{settings.file}: passphrase_file")
    try:
        with os.fdopen(int(number), "rb", closefd=True) as stream:
            return _checked(stream.read(_MAX_PASSPHRASE_BYTES + 1).rstrip(b"\r\n"))
    except (OSError, OverflowError):
        raise VaultLocked("The file descriptor with the passphrase cannot be read.", where=source) from None


def _from_file(path: Path) -> bytes:
    try:
        with path.open("rb") as stream:
            return _checked(stream.read(_MAX_PASSPHRASE_BYTES + 1).rstrip(b"\r\n"))
    except (OSError, ValueError):
        raise VaultLocked("The passphrase file cannot be read.", where=str(path)) from None


def _checked(passphrase: bytes) -> bytes:
    if not passphrase:
        raise VaultLocked("The passphrase is empty.")
    if len(passphrase) > _MAX_PASSPHRASE_BYTES:
        raise VaultLocked("The passphrase is longer than one can be.")
    return passphrase


def _encrypt(us: CountryCode, passphrase: bytes, keys: Iterable[PrivateKey], kdf: KdfParameters) -> bytes:
    salt, nonce = secrets.token_bytes(_SALT_BYTES), secrets.token_bytes(_NONCE_BYTES)
    header = {
        "format": _FORMAT,
        "version": _VERSION,
        "member": str(us),
        "cipher": "A256GCM",
        "nonce": canonical.b64url_encode(nonce),
        "kdf": {
            "name": "argon2id",
            "salt": canonical.b64url_encode(salt),
            "memory_kib": kdf.memory_kib,
            "iterations": kdf.iterations,
            "lanes": kdf.lanes,
        },
    }
    plain = canonical.dump({"keys": [jwk.private_jwk(key.use, key.public, key.seed) for key in keys]})
    aad = canonical.dump(header)
    ciphertext = AESGCM(_derive(passphrase, salt, kdf)).encrypt(nonce, plain, aad)
    return json.dumps({**header, "ciphertext": canonical.b64url_encode(ciphertext)}, indent=2).encode("ascii") + b"\n"


def _decrypt(raw: bytes, passphrase: bytes, path: Path) -> tuple[CountryCode, tuple[PrivateKey, ...]]:
    try:
        stated: dict[str, Any] = json.loads(raw)
        header = {name: value for name, value in stated.items() if name != "ciphertext"}
        aad = canonical.dump(header)
        us, salt, nonce, kdf = _parse_header(header)
        ciphertext = canonical.b64url_decode(stated["ciphertext"])
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError, NotCanonical):
        raise HomeInvalid("The vault file is damaged or not a vault.", where=str(path)) from None
    try:
        plain = AESGCM(_derive(passphrase, salt, kdf)).decrypt(nonce, ciphertext, aad)
    except InvalidTag:
        raise VaultLocked("The passphrase is not this vault's, or the file was changed.", where=str(path)) from None
    except ValueError:
        raise HomeInvalid("The vault file is damaged or not a vault.", where=str(path)) from None
    seeds = (jwk.seed_from_jwk(item) for item in canonical.parse(plain)["keys"])  # ours: authenticated
    return us, tuple(PrivateKey(use=use, seed=seed) for use, seed in seeds)


def _parse_header(header: dict[str, Any]) -> tuple[CountryCode, bytes, bytes, KdfParameters]:
    """Raises: ValueError, KeyError, TypeError: not the one shape of version 1."""
    kdf = header["kdf"]
    memory_kib, iterations, lanes = kdf["memory_kib"], kdf["iterations"], kdf["lanes"]
    salt, nonce = canonical.b64url_decode(kdf["salt"]), canonical.b64url_decode(header["nonce"])
    fixed = (header["format"], header["version"], header["cipher"], kdf["name"])
    within = 1 <= lanes <= _MAX_LANES and 1 <= iterations <= _MAX_ITERATIONS and 8 * lanes <= memory_kib
    if fixed != (_FORMAT, _VERSION, "A256GCM", "argon2id") or not within or memory_kib > _MAX_MEMORY_KIB:
        raise ValueError("not a vault of version 1")
    if len(salt) != _SALT_BYTES or len(nonce) != _NONCE_BYTES:
        raise ValueError("not a vault of version 1")
    parameters = KdfParameters(memory_kib=memory_kib, iterations=iterations, lanes=lanes)
    return CountryCode(header["member"]), salt, nonce, parameters


def _derive(passphrase: bytes, salt: bytes, kdf: KdfParameters) -> bytes:
    return Argon2id(
        salt=salt, length=_KEY_BYTES, iterations=kdf.iterations, lanes=kdf.lanes, memory_cost=kdf.memory_kib
    ).derive(passphrase)


def _read(path: Path) -> bytes:
    try:
        with path.open("rb") as stream:
            raw = stream.read(_MAX_BYTES + 1)
    except FileNotFoundError:
        raise HomeInvalid("There is no vault; `trm init` makes one.", where=str(path)) from None
    except OSError as error:
        raise HomeInvalid(f"The vault cannot be read ({type(error).__name__}).", where=str(path)) from None
    if len(raw) > _MAX_BYTES:
        raise HomeInvalid("The vault file is too large to be one.", where=str(path))
    return raw
