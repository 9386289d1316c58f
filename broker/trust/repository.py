# SPDX-FileCopyrightText: The trm-broker authors
# SPDX-License-Identifier: Apache-2.0
"""Editing a trust repository: stage a change, show what will be signed, sign it officer by officer, publish it.

- Nothing is signed but what was shown: `staged` gives a digest of the bytes to sign, `sign` takes it back.
- Each change makes a new version of one role without signatures; signatures made before count no more.
- What root and targets say is published whole or not at all; a country's part that no node would take is left out.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from copy import deepcopy
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Any

from tuf.api.metadata import Metadata, Root, TargetFile, Targets

from broker.core.authority_keys import revoked
from broker.core.errors import CeremonyRefused
from broker.core.ids import CountryCode, KeyId
from broker.core.trust import MemberKind, MemberStatus, RevocationReason
from broker.trust import layout
from broker.trust.believing import believed_roots, verified_by
from broker.trust.checking import check_document, check_revocations
from broker.trust.federation_documents import FederationDocument, Membership, read_federation, write_federation
from broker.trust.folder import TrustFolder
from broker.trust.member_documents import read_member, write_member
from broker.trust.officer_keys import Officer, OfficerKey, officer_of
from broker.trust.publishing import Published, publish
from broker.trust.signers import Signers, delegate, end_of, new_root, signers_of, withdraw
from broker.trust.staging import Spoiled, StagedRole, digest_of, sifted, signed_by, staged_role

__all__ = ["Repository"]


class Repository:
    """The trust repository of a federation in one folder."""

    def __init__(self, folder: Path) -> None:
        """Open the folder.

        Raises:
            CeremonyRefused: there is no trust repository in it.
        """
        self._folder = TrustFolder(folder)
        if self._folder.empty:
            raise CeremonyRefused("There is no trust repository in this folder.", where=str(folder))

    @classmethod
    def create(cls, folder: Path, *, name: str, federation: Signers, online: Officer, now: datetime) -> Repository:
        """Stage the first root and the first list of a federation without members; its officers sign both.

        Args:
            folder: where it is made; no trust repository may be there.
            name: of the federation.
            federation: the officers of root and targets.
            online: the key that signs snapshot and timestamp.
            now: the lifetimes begin.

        Raises:
            CeremonyRefused: there is one already.
        """
        files = TrustFolder(folder)
        if not files.empty:
            raise CeremonyRefused("There is a trust repository already.", where=str(folder))
        files.stage(layout.ROOT, Metadata(new_root(1, federation=federation, online=online, now=now)))
        files.stage(layout.TARGETS, Metadata(Targets(version=1, expires=end_of(layout.TARGETS, now))))
        repository = cls(folder)
        repository.set_document(layout.FEDERATION, write_federation(FederationDocument(name=name)), now=now)
        return repository

    # reading

    @property
    def folder(self) -> Path:
        """Where it is."""
        return self._folder.path

    def root_file(self) -> Path | None:
        """Return the newest published root that its officers signed, for a node to begin with; None before the first."""
        roots = believed_roots(self._folder)
        return self._folder.root_file(len(roots)) if roots else None

    def federation(self) -> FederationDocument:
        """Return the members as the newest list says, staged before published.

        Raises:
            CeremonyRefused: there is no list yet, or its document is not in the folder.
        """
        return read_federation(self._must(layout.FEDERATION))

    def document(self, path: str) -> bytes | None:
        """Return a document's newest bytes, staged before published; None where no role names it.

        Raises:
            CeremonyRefused: it is named and not in the folder.
        """
        current = self._current(layout.owner_of(path))
        file = current.targets.get(path) if current is not None else None
        if file is None:
            return None
        raw = self._folder.document(path, file.hashes.get("sha256", ""))
        if raw is None:
            raise CeremonyRefused("A document that is signed for is not in the folder.", where=path)
        return raw

    def published_document(self, path: str) -> bytes | None:
        """Return a document's bytes as they are published, whatever is staged; None where there are none."""
        found = self._folder.published(layout.owner_of(path))
        file = found.signed.targets.get(path) if found is not None else None
        return None if file is None else self._folder.document(path, file.hashes.get("sha256", ""))

    def signers(self, role: str) -> Signers:
        """Return who signs root, targets or a member's role by the newest list, staged before published.

        Raises:
            CeremonyRefused: there is no such role.
        """
        delegator = self._newest_root() if role == layout.ROOT else self._delegator(role)
        return signers_of(delegator, role)

    def staged(self) -> tuple[StagedRole, ...]:
        """Return what waits for signatures: what it changes, its digest, who has signed and who may; see `spoiled`."""
        return sifted(self._folder, self._delegator)[0]

    def spoiled(self) -> tuple[Spoiled, ...]:
        """Return what lies there as if it waited and nobody could sign: damaged, or nodes would refuse it."""
        return sifted(self._folder, self._delegator)[1]

    # changing

    def set_document(self, path: str, raw: bytes, *, now: datetime) -> bool:
        """Stage a document of that path; False: it is the one that counts already.

        Raises:
            TrustListInvalid: it does not have its form; nothing is put before officers that a node would refuse.
            CeremonyRefused: nobody signs documents of that path, or a revoked key would be good again.
        """
        try:
            role = layout.owner_of(path)
        except ValueError:
            raise CeremonyRefused("The trust list has no document of that path.", where=path) from None
        check_document(path, raw)
        check_revocations(path, self.published_document(path), raw)
        if role != layout.TARGETS:
            self.signers(role)  # it must be delegated
        current = self._current(role)
        file = TargetFile.from_data(path, raw, ["sha256"])
        if current is not None and current.targets.get(path) == file:
            return False
        self._folder.stage_document(path, raw)
        self._edit(role, lambda targets: targets.targets.__setitem__(path, file), now=now)
        return True

    def set_member(
        self, country: CountryCode, signers: Signers, *, kind: MemberKind = MemberKind.STATE, now: datetime
    ) -> None:
        """Stage a new member, or other officers for one: the federation's officers sign it.

        A member that has published and gets other officers must sign its own documents anew; they are staged for that.
        """
        self._edit(layout.TARGETS, lambda targets: delegate(targets, country, signers), now=now)
        document = self.federation()
        held = document.members.get(country, Membership())
        self._write_federation(document, country, replace(held, kind=kind), now=now)
        if self._folder.published(str(country)) is not None:
            self.renew(str(country), now=now)

    def take_signed(self, country: CountryCode, metadata: Metadata[Targets], documents: Mapping[str, bytes]) -> None:
        """Stage a joining member's first list as its own officers signed it elsewhere.

        Raises:
            CeremonyRefused: it is not the next list of a member that is staged, or not what its officers signed, or a key
                that was revoked when the country was a member would be good again.
        """
        role = str(country)
        self.check_first(country, metadata)
        if not verified_by(self._delegator(role), role, metadata):
            raise CeremonyRefused("Not enough of the country's officers have signed its documents.", where=role)
        for path, raw in documents.items():
            check_revocations(path, self.published_document(path), raw)
            self._folder.stage_document(path, raw)
        self._folder.stage(role, metadata)

    def check_first(self, country: CountryCode, metadata: Metadata[Targets]) -> None:
        """Refuse what is not a joining country's first list, or the next one of a country that was a member before.

        Nodes never go back behind a version that they have seen, also of a country that left.

        Raises:
            CeremonyRefused: the list has another version; the sentence says what the country does.
        """
        published = self._folder.published(str(country))
        wanted = 1 if published is None else published.signed.version + 1
        if metadata.signed.version != wanted:
            raise CeremonyRefused(
                f"The country's request must be version {wanted} of its list: "
                f"let it run 'trm trust request' again with --version {wanted}.",
                where=country,
            )

    def remove_member(self, country: CountryCode, *, now: datetime) -> None:
        """Stage that a country is no member any more.

        Raises:
            CeremonyRefused: it is none.
        """
        document = self.federation()
        if country not in document.members:
            raise CeremonyRefused("The country is not a member.", where=str(country))
        members = {name: item for name, item in document.members.items() if name != country}
        self.set_document(layout.FEDERATION, write_federation(replace(document, members=members)), now=now)
        self._edit(layout.TARGETS, lambda targets: withdraw(targets, country), now=now)
        self._folder.unstage(str(country))

    def suspend(self, country: CountryCode, reason: str, *, now: datetime) -> None:
        """Stage that nothing is sent to a member and nothing of it believed, until it is resumed.

        Raises:
            CeremonyRefused: it is no member.
        """
        self._set_status(country, MemberStatus.SUSPENDED, reason, now=now)

    def resume(self, country: CountryCode, *, now: datetime) -> None:
        """Stage the end of a suspension.

        Raises:
            CeremonyRefused: it is no member.
        """
        self._set_status(country, MemberStatus.ACTIVE, None, now=now)

    def revoke_key(
        self, country: CountryCode, kid: KeyId, *, at: datetime, reason: RevocationReason, now: datetime
    ) -> None:
        """Stage the revocation of a key of a member's node or of one of its offices: its own officers sign it.

        Raises:
            CeremonyRefused: its document does not list the key.
        """
        member = read_member(self._must(layout.member_path(country)), country, where=layout.member_path(country))
        if kid not in member.all_kids():
            raise CeremonyRefused("The member's document does not list this key.", where=kid)
        changed = revoked(member, kid, at=at.replace(microsecond=0), reason=reason)
        self.set_document(layout.member_path(country), write_member(changed), now=now)

    def rotate_root(self, *, federation: Signers | None = None, online: Officer | None = None, now: datetime) -> None:
        """Stage a new root: enough of the old officers and enough of the new ones sign it.

        Args:
            federation: the new officers; None: the same ones, with a new lifetime.
            online: the new key of snapshot and timestamp; None: the same one.
            now: the lifetime begins.

        Raises:
            CeremonyRefused: there is no published root to rotate.
        """
        published = self._folder.published(layout.ROOT)
        if published is None:
            raise CeremonyRefused("The first root is not published yet; there is nothing to rotate.")
        old: Root = published.signed
        kept = officer_of(old.keys[old.roles[layout.TIMESTAMP].keyids[0]])
        officers = federation or self.signers(layout.ROOT)
        root = new_root(old.version + 1, federation=officers, online=online or kept, now=now)
        self._folder.stage(layout.ROOT, Metadata(root))
        targets = self._folder.published(layout.TARGETS)
        if targets is not None and not verified_by(root, layout.TARGETS, targets):
            self.renew(layout.TARGETS, now=now)

    def renew(self, role: str, *, now: datetime) -> None:
        """Stage the same content with a new lifetime.

        Raises:
            CeremonyRefused: nothing of that role was published.
        """
        if self._current(role) is None:
            raise CeremonyRefused("Nothing of this role is published yet.", where=role)
        self._edit(role, lambda targets: None, now=now)

    def discard(self, role: str) -> None:
        """Forget what is staged of a role, also what cannot be read.

        Raises:
            CeremonyRefused: nothing is.
        """
        if role not in self._folder.staged_roles():
            raise CeremonyRefused("Nothing of this role waits for signatures.", where=role)
        self._folder.unstage(role)

    # signing and publishing

    def sign(self, role: str, digest: str, key: OfficerKey) -> StagedRole:
        """Put an officer's signature under what was shown as that digest; return what is staged now.

        Raises:
            CeremonyRefused: the staged version is another one by now, or this officer does not sign this role.
        """
        shown = self._staged(role)
        if digest_of(shown) != digest:
            raise CeremonyRefused("What waits for signatures is not what was shown; look again.", where=role)
        delegator = self._delegator(role)
        before = staged_role(self._folder, role, delegator)  # refuses where a document is not the one that is named
        if key.officer.keyid not in {officer.keyid for officer in (*before.waiting, *before.signed_by)}:
            raise CeremonyRefused("This officer does not sign this role.", where=role)
        shown.sign(key.signer, append=True)
        self._folder.stage(role, shown)
        return staged_role(self._folder, role, delegator)

    def take_signatures(self, other: Path) -> int:
        """Add the signatures that the same staged versions got in a copy of the folder; return how many.

        Nothing else is taken: one that does not verify would keep out the officer's own.
        """
        copy, taken = TrustFolder(other), 0
        for role in self._folder.staged_roles():
            ours, theirs = self._folder.staged(role), copy.staged(role)
            if ours is None or theirs is None or ours.signed_bytes != theirs.signed_bytes:
                continue
            held, good = self._counting(role, ours), self._counting(role, theirs)
            fresh = {keyid: theirs.signatures[keyid] for keyid in good - held}
            ours.signatures.update(fresh)
            self._folder.stage(role, ours)
            taken += len(fresh)
        return taken

    def publish(self, online: OfficerKey, *, now: datetime) -> Published:
        """Publish every role that enough officers have signed, with a new snapshot and timestamp.

        Without anything complete it renews snapshot and timestamp alone, as must be done weekly. What a member's officers
        signed and no node would take is left out.

        Raises:
            CeremonyRefused: nodes would refuse the result; nothing was published.
        """
        return publish(self._folder, online, now=now)

    # inside

    def _counting(self, role: str, metadata: Metadata[Any]) -> frozenset[str]:
        """Return the keys whose signatures verify and count."""
        return frozenset(officer.keyid for officer in signed_by(self._folder, role, metadata, self._delegator(role)))

    def _current(self, role: str) -> Targets | None:
        found = self._folder.staged(role) or self._folder.published(role)
        return found.signed if found is not None else None

    def _staged(self, role: str) -> Metadata[Any]:
        found = self._folder.staged(role)
        if found is None:
            raise CeremonyRefused("Nothing of this role waits for signatures.", where=role)
        return found

    def _newest_root(self) -> Root:
        found = self._folder.staged(layout.ROOT) or self._folder.published(layout.ROOT)
        if found is None:
            raise CeremonyRefused("There is no root in the folder.", where=str(self.folder))
        root: Root = found.signed
        return root

    def _delegator(self, role: str) -> Root | Targets:
        """Return who says which officers sign a role: root for root and targets, targets for members."""
        if role in {layout.ROOT, layout.TARGETS}:
            return self._newest_root()
        targets = self._current(layout.TARGETS)
        if targets is None:
            raise CeremonyRefused("There is no list of members in the folder.", where=str(self.folder))
        return targets

    def _must(self, path: str) -> bytes:
        raw = self.document(path)
        if raw is None:
            raise CeremonyRefused("There is no such document yet.", where=path)
        return raw

    def _edit(self, role: str, change: Callable[[Targets], object], *, now: datetime) -> None:
        """Stage a role's next version with the change: without signatures, and with a new lifetime."""
        published = self._folder.published(role)
        current = self._current(role)
        targets = deepcopy(current) if current is not None else Targets(version=1)
        targets.version = 1 if published is None else published.signed.version + 1
        targets.expires = end_of(role, now)
        change(targets)
        self._folder.stage(role, Metadata(targets))

    def _set_status(self, country: CountryCode, status: MemberStatus, reason: str | None, *, now: datetime) -> None:
        document = self.federation()
        if country not in document.members:
            raise CeremonyRefused("The country is not a member.", where=str(country))
        changed = replace(document.members[country], status=status, reason=reason)
        self._write_federation(document, country, changed, now=now)

    def _write_federation(
        self, document: FederationDocument, country: CountryCode, membership: Membership, *, now: datetime
    ) -> None:
        members = {**document.members, country: membership}
        self.set_document(layout.FEDERATION, write_federation(replace(document, members=members)), now=now)
