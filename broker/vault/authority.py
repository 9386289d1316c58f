# SPDX-FileCopyrightText: The trm-broker authors
# SPDX-License-Identifier: Apache-2.0
"""An office's own vault: the private halves of the keys that parts and files are sealed to, outside every node's home.

- The same file as a node's vault, under a passphrase of the office; its header says whose it is, and no node opens it.
- Keys are added and never destroyed here: what was sealed to an old one stays sealed to it for good.
"""

from __future__ import annotations

from datetime import datetime
from pathlib import Path

from broker.core.errors import BadRequest, HomeInvalid
from broker.core.ids import AuthorityId, CountryCode, KeyId
from broker.core.messages import Party
from broker.core.rotation import PublicKey
from broker.core.trust import KeyUse
from broker.security import jwk
from broker.security.suite import KeyRing, Opener
from broker.vault.entries import Entry, PrivateKey
from broker.vault.file import Contents, VaultFile
from broker.vault.wrapping import Wrapper

__all__ = ["AuthorityVault"]


class AuthorityVault:
    """One office's keys, opened in the office's own process."""

    def __init__(self, file: VaultFile, contents: Contents) -> None:
        """Raises:
        HomeInvalid: the vault is a node's.
        """
        if contents.authority is None:
            raise HomeInvalid("This vault is a node's, not an office's.", where=str(file.path))
        self.owner = Party(country=contents.us, authority=contents.authority)
        self._file = file
        self._contents = contents

    def __repr__(self) -> str:
        return f"AuthorityVault({self.owner.country}/{self.owner.authority}, {len(self._contents.keys)} keys)"

    @classmethod
    def open(cls, path: Path, wrapper: Wrapper) -> AuthorityVault:
        """Return the opened vault.

        Raises:
            HomeInvalid: there is no vault file, it is not one, or it is a node's.
            VaultLocked: it does not open.
        """
        file = VaultFile(path, wrapper)
        return cls(file, file.read())

    @classmethod
    def create(
        cls, path: Path, wrapper: Wrapper, *, country: CountryCode, authority: AuthorityId, now: datetime
    ) -> AuthorityVault:
        """Write a new vault with a first key, and return it opened.

        Raises:
            HomeInvalid: there is a vault already (it is never written over), or the folder cannot be written.
            DiskFull: no room; nothing is left behind.
        """
        file = VaultFile(path, wrapper)
        return cls(file, file.create(country, [_fresh(now)], authority=authority))

    def add_key(self, now: datetime) -> KeyId:
        """Put one more key into the file and return its id.

        Raises:
            NodeError: the file cannot be written; nothing has changed.
        """
        made = _fresh(now)
        self._contents = self._file.change(lambda held: (*held, made))
        return made.kid

    def rewrap(self, wrapper: Wrapper) -> None:
        """Put the vault under another passphrase; what opened it before does not any more.

        Raises:
            NodeError: the file cannot be written, or not be opened any more; nothing has changed.
        """
        self._contents = self._file.change(lambda held: held, wrapper=wrapper)

    def public_keys(self) -> tuple[PublicKey, ...]:
        """Return the public half of every key, oldest first."""
        return tuple(
            PublicKey(kid=entry.kid, use=entry.use, public=entry.key.public)
            for entry in self._contents.entries
            if entry.material is not None
        )

    def opener(self) -> Opener:
        """Return what opens everything that was ever sealed to this office."""
        return KeyRing({jwk.thumbprint(key.use, key.public): key.seed for key in self._contents.keys})

    def check_owner(self, owner: Party) -> None:
        """Refuse another office's vault.

        Raises:
            BadRequest: it is.
        """
        if self.owner != owner:
            raise BadRequest("The vault holds another office's keys.", where=f"{owner.country}/{owner.authority}")


def _fresh(now: datetime) -> Entry:
    seed, _ = jwk.generate(KeyUse.HPKE)
    return Entry.of(PrivateKey(use=KeyUse.HPKE, seed=seed), created=now.replace(microsecond=0))
