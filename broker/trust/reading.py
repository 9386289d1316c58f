# SPDX-FileCopyrightText: The trm-broker authors
# SPDX-License-Identifier: Apache-2.0
"""One look at a source: what TUF verified, read document by document, beside what was in force until now.

- Which document is signed is the federation's and TUF's to say: whatever breaks there refuses the list.
- A document that this program cannot read, for a newer one wrote it, leaves its previous one in force, and a person is
  told; the rest is taken. Otherwise one new form would hold back every country's revocations.
- Nobody's list goes back to an older version, also where a new online key began the snapshots anew.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from tuf.api.metadata import TargetFile
from tuf.ngclient import Updater

from broker.core.errors import TrustListInvalid
from broker.core.ids import CountryCode, Digest
from broker.core.trust import KeyUse, Member, TrustRule
from broker.security import primitives
from broker.trust import layout
from broker.trust.arrangement_documents import read_arrangements
from broker.trust.catalogue_documents import load_bundle
from broker.trust.federation_documents import FederationDocument, read_federation
from broker.trust.list_documents import ListDocument, MemberTexts, read_profile_of
from broker.trust.looking_folder import LookingFolder
from broker.trust.member_documents import read_member
from broker.trust.policy import Lists, member_list
from broker.trust.tuf_faults import translated

__all__ = ["Reading", "Trouble"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Trouble:
    """A document that could not be taken; its previous one, if there was any, stays in force."""

    country: CountryCode | None  # whose officers signed it; None: the federation's
    document: str  # its path in the list
    rule: str  # `core.trust.TrustRule`
    detail: str  # one sentence, with the place


class Reading:
    """Takes every document that can be taken; `troubles` tells of the others."""

    def __init__(self, updater: Updater, folder: LookingFolder, lists: Lists, held: ListDocument | None) -> None:
        """Args:
        updater: has verified the lists.
        folder: in which it keeps them.
        lists: the federation's.
        held: what is in force; None where nothing is.
        """
        self.troubles: list[Trouble] = []
        self._updater = updater
        self._folder = folder
        self._lists = lists
        self._held = held
        self._versions: dict[str, int] = dict(held.sources) if held is not None else {}  # also of who is no member now
        self._note(layout.TARGETS, lists.targets.version)
        self._versions |= {
            layout.ROOT: lists.root.version,
            layout.SNAPSHOT: lists.snapshot.version,
            layout.TIMESTAMP: lists.timestamp.version,
        }

    def document(self) -> ListDocument:
        """Return everything that is in force now.

        Raises:
            TrustListInvalid: the federation's lists break a rule, or nothing was in force that a document which this
                program cannot read could leave there.
        """
        held, federation = self._held, self._readable(layout.FEDERATION, _federation, "federation")
        if federation is None:
            raise TrustListInvalid(
                "The list does not name this document.", where=layout.FEDERATION, rule=TrustRule.MISSING
            )
        members = self._members(_federation(federation.encode("utf-8")))
        return ListDocument(
            version=self._lists.snapshot.version,
            root_version=self._lists.root.version,
            expires=self._lists.expires,
            federation=federation,
            arrangements=self._readable(layout.ARRANGEMENTS, _arrangements, "arrangements"),
            catalogue=self._catalogue(None if held is None else held.catalogue),
            members=members,
            sources=self._versions,
        )

    def _readable(self, path: str, read: Callable[[bytes], object], name: str) -> str | None:
        """Return a document of the federation, or the one in force where this program cannot read the signed one."""
        info = self._updater.get_targetinfo(path)
        if info is None:
            return None
        raw = self._bytes(info)
        try:
            read(raw)
            return _text(raw, path)
        except TrustListInvalid as error:
            self._unread(path, error)
            held: str | None = getattr(self._held, name)
            return held

    def _unread(self, path: str, error: TrustListInvalid) -> None:
        """Note that a document of the federation stays as it was.

        Raises:
            TrustListInvalid: nothing is in force that it could stay as.
        """
        if self._held is None:
            raise error
        self.troubles.append(_trouble(None, path, error))

    def _note(self, role: str, version: int) -> None:
        """Remember a list's version.

        TUF compares it only while the online key stays: a thief of a new one could name a list that was once signed, and
        undo a revocation.

        Raises:
            TrustListInvalid: it is older than the one in force, or can be kept by nobody.
        """
        if version > layout.MAX_VERSION:
            raise TrustListInvalid("The list's version is too large.", where=f"{role}.json", rule=TrustRule.VERSION)
        if version < self._versions.get(role, 0):
            raise TrustListInvalid(
                "The list is older than the one in force.", where=f"{role}.json", rule=TrustRule.VERSION
            )
        self._versions[role] = version

    def _members(self, federation: FederationDocument) -> dict[CountryCode, MemberTexts]:
        """Return what each member's officers signed, or signed before."""
        members: dict[CountryCode, MemberTexts] = {}
        for country in federation.members:
            try:
                with translated():
                    members[country] = self._member(country)
            except TrustListInvalid as error:
                members[country] = self._previous(country)
                self.troubles.append(_trouble(country, layout.member_path(country), error))
        return self._without_shared_keys(members)

    def _member(self, country: CountryCode) -> MemberTexts:
        if not self._lists.has_signed(country):  # it is only joining, or a paper counterpart
            return MemberTexts()
        path, profile_path = layout.member_paths(country)
        raw, profile = self._target(path), self._target(profile_path)
        signed = member_list(self._folder.metadata, country)
        if raw is not None:
            _check_keys(read_member(raw, country, where=path), path)
        self._note(country, signed.version)
        return MemberTexts(
            document=None if raw is None else _text(raw, path),
            profile=None if profile is None else self._profile(country, profile),
            expires=signed.expires,
        )

    def _profile(self, country: CountryCode, raw: bytes) -> str | None:
        """Return the profile's text, or the previous one where it cannot be read.

        A profile written for a newer program must not hold back the keys that were signed with it, revocations least.
        """
        try:
            read_profile_of(country, raw)
            return _text(raw, layout.profile_path(country))
        except TrustListInvalid as error:
            self.troubles.append(_trouble(country, layout.profile_path(country), error))
            return self._previous(country).profile

    def _previous(self, country: CountryCode) -> MemberTexts:
        return self._held.members.get(country, MemberTexts()) if self._held is not None else MemberTexts()

    def _without_shared_keys(self, members: dict[CountryCode, MemberTexts]) -> dict[CountryCode, MemberTexts]:
        """Put back whoever newly claims a key that another member has: its signatures would speak for two countries.

        Who had the key before keeps it; where nobody had, nobody gets it. What was in force together shares no key, so
        this ends.
        """
        while claimants := self._claimants(members):
            for country in claimants:
                members = {**members, country: self._previous(country)}
                path = layout.member_path(country)
                error = TrustListInvalid("A key is claimed by two members.", where=path, rule=TrustRule.SHARED_KEY)
                self.troubles.append(_trouble(country, path, error))
        return members

    def _claimants(self, members: Mapping[CountryCode, MemberTexts]) -> list[CountryCode]:
        owners: dict[str, set[CountryCode]] = {}
        for country, texts in members.items():
            for kid in _kids(country, texts):
                owners.setdefault(kid, set()).add(country)
        had = {country: _kids(country, self._previous(country)) for country in members}
        return sorted(
            {
                country
                for kid, countries in owners.items()
                if len(countries) > 1
                for country in countries
                if kid not in had[country]
            }
        )

    def _catalogue(self, held: Digest | None) -> Digest | None:
        """Return which catalogue is in force: the signed one, or the held one where this program cannot use that."""
        info = self._updater.get_targetinfo(layout.CATALOGUE)
        if info is None:
            return None
        digest = Digest(info.hashes["sha256"])
        if digest == held and self._updater.find_cached_target(info) is not None:
            return digest
        try:
            raw = self._bytes(info, self._folder.newer_catalogue)
            if digest != held:
                load_bundle(raw)
        except TrustListInvalid as error:
            self._unread(layout.CATALOGUE, error)
            return held
        self._folder.take_catalogue(held)
        return digest

    def _target(self, path: str) -> bytes | None:
        """Return a document's verified bytes; None: nobody signed one."""
        info = self._updater.get_targetinfo(path)
        return None if info is None else self._bytes(info)

    def _bytes(self, info: TargetFile, place: Path | None = None) -> bytes:
        """Return verified bytes, from the last look where they are the same.

        Raises:
            TrustListInvalid: they are more than any program of this version takes.
        """
        if info.length > layout.MAX_DOCUMENT:
            raise TrustListInvalid("The document is too large.", where=info.path, rule=TrustRule.TOO_LARGE)
        name = None if place is None else str(place)
        file = self._updater.find_cached_target(info, name) or self._updater.download_target(info, name)
        return Path(file).read_bytes()


def _check_keys(member: Member, where: str) -> None:
    """Refuse a new document with a key that hides or proves nothing; what is in force is read as it was believed.

    Raises:
        TrustListInvalid: the previous document of that member stays, whose keys can be used.
    """
    own = ((key.use, key.public) for key in member.keys)
    for use, public in (*own, *((KeyUse.HPKE, key.public) for office in member.authorities for key in office.keys)):
        try:
            primitives.check_usable(use, public)
        except ValueError:
            raise TrustListInvalid(
                "One of its keys is of no use: nobody can encrypt to it, or anybody sign under it.", where=where
            ) from None


def _federation(raw: bytes) -> FederationDocument:
    return read_federation(raw, where=layout.FEDERATION)


def _arrangements(raw: bytes) -> object:
    return read_arrangements(raw, where=layout.ARRANGEMENTS)


def _kids(country: CountryCode, texts: MemberTexts) -> frozenset[str]:
    if texts.document is None:
        return frozenset()
    member = read_member(texts.document.encode("utf-8"), country, where=layout.member_path(country))
    return frozenset(member.all_kids())


def _text(raw: bytes, where: str) -> str:
    try:
        return raw.decode("utf-8")
    except UnicodeDecodeError:
        raise TrustListInvalid("The document is not UTF-8.", where=where, rule=TrustRule.MALFORMED) from None


def _trouble(country: CountryCode | None, document: str, error: TrustListInvalid) -> Trouble:
    place = f" ({error.where})" if error.where else ""
    return Trouble(country=country, document=document, rule=error.rule, detail=f"{error.detail}{place}")
