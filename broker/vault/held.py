# SPDX-FileCopyrightText: The trm-broker authors
# SPDX-License-Identifier: Apache-2.0
"""The vault as a running node holds it: opened once, used from memory, read again when the file changed."""

from __future__ import annotations

import threading
from collections.abc import Iterable
from datetime import datetime
from pathlib import Path

from broker.core.errors import BrokerError, HomeInvalid, KeyMissing
from broker.core.ids import CountryCode, KeyId
from broker.core.trust import KeyUse, Member, MemberKey, TrustList
from broker.security import jwk
from broker.security.at_rest import NO_EPOCHS, EpochRing
from broker.security.suite import SIGNATURES, KeyPairSigner, KeyRing, Opener, Signer
from broker.vault.entries import AT_REST, Entry, EntryKind, PrivateKey
from broker.vault.file import Contents, Stamp, VaultFile
from broker.vault.wrapping import KdfParameters, PassphraseWrapper, Wrapper

__all__ = ["FileVault"]

_KEPT_MARKS = 12  # of destroyed epochs: the vault is a small file, and each erasure ends an epoch


class _Held:
    """The keys of one state of the file, ready for use."""

    def __init__(self, keys: Iterable[PrivateKey], at_rest: EpochRing) -> None:
        self.at_rest = at_rest
        pairs = [(key, key.public) for key in keys]  # which is worked out anew whenever it is asked for
        by_kid = {jwk.thumbprint(key.use, public): (key, public) for key, public in pairs}
        self.signing = {kid: key for kid, (key, _) in by_kid.items() if key.use is not KeyUse.HPKE}
        self.ring = KeyRing({kid: key.seed for kid, (key, _) in by_kid.items() if key.use is KeyUse.HPKE})
        self.public = tuple((kid, key.use, public) for kid, (key, public) in by_kid.items())
        self._signers: dict[tuple[KeyId, KeyId], KeyPairSigner] = {}

    def signer(self, ed25519: KeyId, ml_dsa: KeyId) -> KeyPairSigner:
        """Return the pair's signer, built once."""
        pair = (ed25519, ml_dsa)
        if pair not in self._signers:
            self._signers[pair] = KeyPairSigner(self.signing[ed25519].seed, self.signing[ml_dsa].seed)
        return self._signers[pair]


class FileVault:
    """This node's private keys, opened; they never come out again."""

    def __init__(
        self,
        us: CountryCode,
        keys: Iterable[PrivateKey],
        *,
        at_rest: EpochRing = NO_EPOCHS,
        file: VaultFile | None = None,
    ) -> None:
        """Args:
        us: the member whose keys these are.
        keys: what the file holds; `open` reads it.
        at_rest: the keys for data at rest that it holds.
        file: where they come from, to be looked at again; None: only memory.
        """
        self._us = us
        self._held = _Held(keys, at_rest)
        self._file = file
        self._stamp: Stamp | None = None
        self._reading = threading.Lock()
        self._trouble: str | None = None

    def __repr__(self) -> str:
        return f"FileVault({self._us}, {len(self._held.public)} keys)"

    @classmethod
    def create(
        cls,
        path: Path,
        wrapper: Wrapper | bytes,
        keys: Iterable[PrivateKey],
        *,
        us: CountryCode,
        kdf: KdfParameters | None = None,
        created: datetime | None = None,
    ) -> FileVault:
        """Write a new vault file, with first keys for data at rest, and return it opened.

        Args:
            path: where; nothing may be there.
            wrapper: who keeps its content key; bytes are a passphrase.
            keys: what it holds.
            us: the member whose keys these are.
            kdf: the cost of a passphrase; None: the recommended one.
            created: when the keys were made.

        Raises:
            HomeInvalid: there is a vault already (it is never written over), or the folder cannot be written.
            VaultLocked: the passphrase is empty, or the wrapper is not to be had.
            DiskFull: no room; nothing is left behind.
        """
        file = VaultFile(path, _wrapper(wrapper, kdf))
        moment = None if created is None else _whole(created)
        pairs = [Entry.of(key, created=moment) for key in keys]
        contents = file.create(us, [*pairs, *(Entry.at_rest(kind, 1, created=moment) for kind in AT_REST)])
        return cls._opened(file, contents, file.stamp())

    @classmethod
    def open(cls, path: Path, wrapper: Wrapper | bytes) -> FileVault:
        """Return the opened vault.

        Args:
            path: its file.
            wrapper: who keeps its content key; bytes are a passphrase.

        Raises:
            HomeInvalid: there is no vault file, or it is not one.
            VaultLocked: it does not open.
        """
        file = VaultFile(path, _wrapper(wrapper, None))
        stamp = file.stamp()  # before reading: a change in between is seen next time
        return cls._opened(file, file.read(), stamp)

    @classmethod
    def _opened(cls, file: VaultFile, contents: Contents, stamp: Stamp | None) -> FileVault:
        if contents.authority is not None:  # what is sealed to an office is sealed against its node too
            raise HomeInvalid("This vault is an office's: no node opens it.", where=str(file.path))
        vault = cls(contents.us, contents.keys, at_rest=contents.ring, file=file)
        vault._stamp = stamp
        return vault

    def signer(self, trust: TrustList, now: datetime) -> Signer:
        """Return a signer over the newest signing keys that the trust list allows now and that are here.

        Raises:
            KeyMissing: there is no such pair.
        """
        member, held = trust.members.get(self._us), self._newest_held()
        if member is None:
            raise KeyMissing("The trust list does not name this node's country.", where=str(self._us))
        ed25519 = _newest(held, member, KeyUse.ED25519, now)
        ml_dsa = _newest(held, member, KeyUse.ML_DSA_65, now)
        return held.signer(ed25519.kid, ml_dsa.kid)

    def own_signer(self) -> Signer:
        """Return a signer over the newest signing keys that are here, whatever the trust list says of them.

        For what only the holder of this vault is to recognise.

        Raises:
            KeyMissing: there is no pair.
        """
        held = self._newest_held()
        by_use = {use: kid for kid, use, _ in held.public if kid in held.signing}  # the newest of each use stays
        if len(by_use) != len(SIGNATURES):
            raise KeyMissing("The vault holds no pair of signing keys.", where=str(self._us))
        return held.signer(by_use[KeyUse.ED25519], by_use[KeyUse.ML_DSA_65])

    def opener(self) -> Opener:
        """Return the opener over all private encryption keys that are here."""
        return self._newest_held().ring

    def ring(self) -> EpochRing:
        """Return the keys for data at rest; another object whenever the file changed."""
        return self._newest_held().at_rest

    def begin_epoch(self, now: datetime) -> int:
        """Put the next epoch's key into the file and return the epoch's number.

        Raises:
            NodeError: the file cannot be written; nothing has changed.
        """

        def add(held: tuple[Entry, ...]) -> tuple[Entry, ...]:
            numbers = [int(entry.id) for entry in held if entry.kind is EntryKind.WRAPPING]
            return (*held, Entry.at_rest(EntryKind.WRAPPING, max(numbers, default=0) + 1, created=_whole(now)))

        return self._kept_file().change(add).ring.newest

    def end_epochs(self, before: int, now: datetime) -> None:
        """Destroy the keys of all epochs before that one; the newest marks of destroyed ones stay.

        Raises:
            NodeError: the file cannot be written; nothing has changed.
        """

        def end(held: tuple[Entry, ...]) -> list[Entry]:
            old = [entry for entry in held if entry.kind is EntryKind.WRAPPING and int(entry.id) < before]
            kept = {entry.id for entry in old[-_KEPT_MARKS:]}
            return [
                entry.without_material(now) if entry in old and entry.material is not None else entry
                for entry in held
                if entry not in old or entry.id in kept
            ]

        if min(self.ring().epochs, default=before) < before:
            self._kept_file().change(end)

    def _kept_file(self) -> VaultFile:
        if self._file is None:
            raise RuntimeError("this vault is only in memory")
        return self._file

    def public_keys(self) -> tuple[tuple[KeyId, KeyUse, bytes], ...]:
        """Return id, use and raw public key of everything held."""
        return self._newest_held().public

    def look(self) -> str | None:
        """Look whether the file changed and take what it holds; return what is wrong with it, if anything."""
        self._newest_held()
        return self._trouble

    def _newest_held(self) -> _Held:
        """Return what is held, read again if the file is another one: new keys count without a restart.

        A file that does not open is tried once, not for ever: an HSM locks itself after a few wrong PINs.
        """
        if self._file is None or self._file.stamp() == self._stamp:
            return self._held
        with self._reading:
            stamp = self._file.stamp()
            if stamp != self._stamp:
                self._stamp = stamp
                try:
                    contents = self._file.read()
                    if contents.authority is not None:
                        raise HomeInvalid("This vault is an office's: no node opens it.")
                    self._held, self._trouble = _Held(contents.keys, contents.ring), None
                except BrokerError as error:
                    self._trouble = f"The changed vault does not open ({error.code}); the keys read before are used on."
        return self._held


def _whole(moment: datetime) -> datetime:
    return moment.replace(microsecond=0)


def _wrapper(given: Wrapper | bytes, kdf: KdfParameters | None) -> Wrapper:
    return PassphraseWrapper(given, kdf) if isinstance(given, bytes) else given


def _newest(held: _Held, member: Member, use: KeyUse, now: datetime) -> MemberKey:
    usable = [key for key in member.keys if key.use is use and key.usable(now) and key.kid in held.signing]
    if not usable:
        raise KeyMissing(f"No {use} key is both usable now by the trust list and in the vault.", where=member.country)
    return max(usable, key=lambda key: key.not_before)
