# SPDX-FileCopyrightText: The trm-broker authors
# SPDX-License-Identifier: Apache-2.0
"""One vault on disk: read, and changed as a whole, so that a crash at any point leaves the old vault or the new one."""

from __future__ import annotations

import fcntl
import json
import os
import secrets
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from broker.core import canonical
from broker.core.errors import HomeInvalid, NotCanonical, VaultLocked
from broker.core.ids import AuthorityId, CountryCode
from broker.durable import not_written, write_durably
from broker.security import jwk
from broker.security.at_rest import EpochRing
from broker.vault.entries import AT_REST, Entry, EntryKind, PrivateKey, parse_entries, ring_of, write_entries
from broker.vault.wrapping import NONCE_BYTES, Stated, Wrapper, exact_bytes, wrong_key

__all__ = ["Contents", "Stamp", "VaultFile"]

_FORMAT = "trm-vault"
_VERSION = 2  # version 1 had no wrapper: its content key was derived from the passphrase; it still opens
_CIPHER = "A256GCM"
_KEY_BYTES = 32
_MAX_BYTES = 1024 * 1024  # of the file

Stamp = tuple[int, int, int]
_DAMAGED = "The vault file is damaged, not a vault, or made by a newer program."


@dataclass(frozen=True, slots=True, kw_only=True)
class Contents:
    """What stands in a vault."""

    us: CountryCode  # the member whose keys these are
    entries: tuple[Entry, ...]
    wrapper: Stated  # what the header says about who keeps the content key
    authority: AuthorityId | None = None  # whose keys these are, where they are one office's and no node's

    @property
    def keys(self) -> tuple[PrivateKey, ...]:
        """The private keys that are held."""
        return tuple(entry.key for entry in self.entries if entry.material is not None and entry.kind not in AT_REST)

    @property
    def ring(self) -> EpochRing:
        """The keys for data at rest that are held."""
        return ring_of(self.entries)


class VaultFile:
    """A vault at its place, with what opens it."""

    def __init__(self, path: Path, wrapper: Wrapper) -> None:
        self.path = path
        self._name = os.fspath(path)
        self._wrapper = wrapper

    def create(self, us: CountryCode, entries: Iterable[Entry], *, authority: AuthorityId | None = None) -> Contents:
        """Write a new vault, durable and readable for its owner only; with an authority, that office's and no node's.

        Raises:
            HomeInvalid: there is a vault already (it is never written over), or the folder cannot be written.
            VaultLocked: the wrapper is not to be had.
            DiskFull: no room; nothing is left behind.
        """
        with self._locked():
            if os.path.lexists(self.path):
                raise HomeInvalid("There is a vault already; it is never written over.", where=str(self.path))
            return self._write(us, authority, tuple(entries), self._wrapper, like=None)

    def read(self) -> Contents:
        """Return what stands in the vault.

        Raises:
            HomeInvalid: there is no vault file, or it is not one.
            VaultLocked: it does not open.
        """
        return _decrypt(self._raw(), self._wrapper, self.path)

    def change(
        self, edit: Callable[[tuple[Entry, ...]], Iterable[Entry]], *, wrapper: Wrapper | None = None
    ) -> Contents:
        """Put what `edit` makes of the entries in their place, under another wrapper if one is given.

        The file is always written anew, under a fresh content key; a version 1 vault becomes one of this version.

        Raises:
            HomeInvalid: there is no vault file, it is not one, or the folder cannot be written; nothing has changed.
            VaultLocked: the old or the new wrapper is not to be had; nothing has changed.
            DiskFull: no room; nothing has changed.
        """
        with self._locked():
            held = self.read()
            entries = tuple(edit(held.entries))
            like = None if wrapper else held.wrapper
            written = self._write(held.us, held.authority, entries, wrapper or self._wrapper, like=like)
            self._wrapper = wrapper or self._wrapper
            return written

    def stamp(self) -> Stamp | None:
        """Return what differs after every change, cheaply; None where there is no file."""
        try:
            seen = os.stat(self._name)  # noqa: PTH116 - asked at every key that is used: a path object costs twice as much
        except OSError:
            return None
        return seen.st_ino, seen.st_mtime_ns, seen.st_size

    def _write(
        self,
        us: CountryCode,
        authority: AuthorityId | None,
        entries: tuple[Entry, ...],
        wrapper: Wrapper,
        *,
        like: Stated | None,
    ) -> Contents:
        raw = _encrypt(us, authority, entries, wrapper, like=like)
        # Tried before it takes the old one's place: an HSM that wraps what it will not unwrap would lose every key.
        contents = _decrypt(raw, wrapper, self.path)
        if contents.entries != entries:
            raise RuntimeError("a vault does not read back as it was written")
        try:
            write_durably(self.path, raw)
        except OSError as error:
            raise not_written(error, self.path, "The vault cannot be written") from None
        return contents

    @contextmanager
    def _locked(self) -> Iterator[None]:
        """Keep a second command out: of two changes at once, one would undo the other."""
        try:
            folder = os.open(self.path.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        except OSError as error:
            raise not_written(error, self.path, "The vault cannot be written") from None
        try:
            fcntl.flock(folder, fcntl.LOCK_EX)
            yield
        finally:
            os.close(folder)

    def _raw(self) -> bytes:
        try:
            with self.path.open("rb") as stream:
                raw = stream.read(_MAX_BYTES + 1)
        except FileNotFoundError:
            raise HomeInvalid(
                "There is no vault: copy it out of a restored backup (trm restore), or make a new home (trm init).",
                where=str(self.path),
            ) from None
        except OSError as error:
            raise HomeInvalid(f"The vault cannot be read ({type(error).__name__}).", where=str(self.path)) from None
        if len(raw) > _MAX_BYTES:
            raise HomeInvalid("The vault file is too large to be one.", where=str(self.path))
        return raw


# --- bytes ----------------------------------------------------------------------------------------------------------


def _encrypt(
    us: CountryCode, authority: AuthorityId | None, entries: tuple[Entry, ...], wrapper: Wrapper, *, like: Stated | None
) -> bytes:
    content_key, nonce = secrets.token_bytes(_KEY_BYTES), secrets.token_bytes(NONCE_BYTES)
    header = {
        "format": _FORMAT,
        "version": _VERSION,
        "member": str(us),
        "cipher": _CIPHER,
        "nonce": canonical.b64url_encode(nonce),
        "wrapper": dict(wrapper.wrap(content_key, like=like)),
        **({} if authority is None else {"authority": str(authority)}),
    }
    plain = canonical.dump({"entries": write_entries(entries)})
    ciphertext = AESGCM(content_key).encrypt(nonce, plain, canonical.dump(header))
    return json.dumps({**header, "ciphertext": canonical.b64url_encode(ciphertext)}, indent=2).encode("ascii") + b"\n"


def _decrypt(raw: bytes, wrapper: Wrapper, path: Path) -> Contents:
    try:
        stated: dict[str, Any] = json.loads(raw)
        header = {name: value for name, value in stated.items() if name != "ciphertext"}
        aad, nonce = canonical.dump(header), exact_bytes(header["nonce"], NONCE_BYTES)
        us, ciphertext = CountryCode(header["member"]), canonical.b64url_decode(stated["ciphertext"])
        authority = AuthorityId(header["authority"]) if "authority" in header else None
        wrapping = _wrapping(header)
        plain = AESGCM(wrapper.unwrap(wrapping)).decrypt(nonce, ciphertext, aad)
        entries = _entries(header["version"], canonical.parse(plain))
    except InvalidTag:
        raise VaultLocked(wrong_key().detail, where=str(path)) from None
    except VaultLocked as error:
        raise VaultLocked(error.detail, where=error.where or str(path)) from None
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError, NotCanonical):
        raise HomeInvalid(_DAMAGED, where=str(path)) from None
    return Contents(us=us, entries=entries, wrapper=wrapping, authority=authority)


def _wrapping(header: dict[str, Any]) -> Stated:
    """Return what the header states about the wrapper; of version 1, in the words of this version."""
    if (header["format"], header["cipher"]) != (_FORMAT, _CIPHER):
        raise ValueError("not a vault")
    if header["version"] == 1:
        return {"name": "passphrase", "kdf": header["kdf"]}
    if header["version"] != _VERSION or not isinstance(header["wrapper"], dict) or "wrapped" not in header["wrapper"]:
        raise ValueError("not a version that is known here")
    return header["wrapper"]


def _entries(version: int, plain: Any) -> tuple[Entry, ...]:
    if version != 1:
        return parse_entries(plain["entries"])
    seeds = [jwk.seed_from_jwk(item) for item in plain["keys"]]
    return tuple(
        Entry(kind=EntryKind(use.value), id=jwk.thumbprint(use, jwk.public_of(use, seed)), material=seed, created=None)
        for use, seed in seeds
    )
