# SPDX-FileCopyrightText: The trm-broker authors
# SPDX-License-Identifier: Apache-2.0
"""From a source to a verified trust list: TUF's Updater verifies every signature, version, hash and expiry.

What the federation signs is taken whole or not at all. What one member signs, and breaks, leaves that member's previous
document in force: nobody's mistake silences a country, and nobody's silence forges one.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from tuf.api import exceptions as tuf_errors
from tuf.ngclient import Updater, UpdaterConfig

from broker.core.errors import DiskFull, HomeInvalid, TrustListInvalid
from broker.core.ids import CountryCode, Digest
from broker.core.trust import TrustList, TrustRule
from broker.durable import is_full
from broker.trust import layout
from broker.trust.arrangement_documents import read_arrangements
from broker.trust.catalogue_documents import PROCEDURES, load_bundle, read_bundle_files, tables_of
from broker.trust.federation_documents import FederationDocument, read_federation
from broker.trust.fetching import Source
from broker.trust.list_documents import ListDocument, MemberTexts, read_profile_of, trust_list_of
from broker.trust.member_documents import read_member
from broker.trust.policy import Lists, member_list, read_lists

__all__ = ["Fetched", "Trouble", "TrustClient"]


_LIMITS = UpdaterConfig(
    root_max_length=layout.MAX_METADATA,
    timestamp_max_length=64 * 1024,
    snapshot_max_length=layout.MAX_METADATA,
    targets_max_length=layout.MAX_METADATA,
    max_delegations=4,  # the federation's list and the one member's that a path belongs to
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Trouble:
    """A member's document that could not be taken; its previous one, if there was any, stays in force."""

    country: CountryCode
    rule: str  # `core.trust.TrustRule`
    detail: str  # one sentence, with the place


@dataclass(frozen=True, slots=True, kw_only=True)
class Fetched:
    """What one look at a source gave."""

    document: ListDocument
    trust: TrustList
    troubles: tuple[Trouble, ...]
    memory: Mapping[str, bytes]  # what the next look must be given: the lists that were believed last, by file name

    @property
    def catalogue(self) -> bytes | None:
        """The signed bundle of message schemas."""
        return self.memory.get(layout.CATALOGUE_FILE)


class TrustClient:
    """Reads a federation's trust list from one source, beginning from one pinned root."""

    def __init__(self, source: Source, root: bytes) -> None:
        """Args:
        source: where the files come from; it is not believed.
        root: the root that was given to this node by hand.
        """
        self._source = source
        self._root = root

    def fetch(self, held: ListDocument | None = None, memory: Mapping[str, bytes] | None = None) -> Fetched:
        """Return the newest list that the source gives; blocks on network and disk.

        Args:
            held: the list in force; None where there is none yet.
            memory: of the look that gave it.

        Raises:
            TrustListInvalid: the federation's part breaks a rule; what is held stays in force.
        """
        with _translated(), TemporaryDirectory(prefix="trm-trust-") as name:
            folder = _Folder(Path(name), memory or {})
            self._source.begin()
            updater = self._updater(folder)
            updater.refresh()
            reading = _Reading(updater, folder, read_lists(folder.metadata), held)
            federation = reading.federation()
            members, troubles = reading.members(federation)
            document = reading.document(members)
            _never_back(held, document)
            folder.keep_tables()
            return Fetched(
                document=document, trust=trust_list_of(document), troubles=tuple(troubles), memory=folder.memory()
            )

    def _updater(self, folder: _Folder) -> Updater:
        return Updater(
            metadata_dir=str(folder.metadata),
            metadata_base_url=f"{Source.base}/metadata/",
            target_dir=str(folder.targets),
            target_base_url=f"{Source.base}/targets/",
            fetcher=self._source,
            config=_LIMITS,
            bootstrap=self._root,
        )


class _Reading:
    """One look: what the Updater verified, beside what was in force until now."""

    def __init__(self, updater: Updater, folder: _Folder, lists: Lists, held: ListDocument | None) -> None:
        self._updater = updater
        self._folder = folder
        self._lists = lists
        self._held = held
        self._versions = {
            layout.ROOT: lists.root.version,
            layout.TARGETS: lists.targets.version,
            layout.SNAPSHOT: lists.snapshot.version,
            layout.TIMESTAMP: lists.timestamp.version,
        }

    def federation(self) -> FederationDocument:
        """Return who is a member."""
        return read_federation(self._must(layout.FEDERATION))

    def document(self, members: Mapping[CountryCode, MemberTexts]) -> ListDocument:
        """Return everything that is in force now."""
        arrangements = self._target(layout.ARRANGEMENTS)
        if arrangements is not None:
            read_arrangements(arrangements, where=layout.ARRANGEMENTS)
        return ListDocument(
            version=self._lists.snapshot.version,
            root_version=self._lists.root.version,
            expires=self._lists.expires,
            sources=self._versions,
            federation=_text(self._must(layout.FEDERATION), layout.FEDERATION),
            arrangements=None if arrangements is None else _text(arrangements, layout.ARRANGEMENTS),
            catalogue=self._catalogue(),
            members=members,
        )

    def members(self, federation: FederationDocument) -> tuple[dict[CountryCode, MemberTexts], list[Trouble]]:
        """Return what each member's officers signed, or signed before, and what was wrong."""
        troubles: list[Trouble] = []
        members: dict[CountryCode, MemberTexts] = {}
        for country in federation.members:
            try:
                with _translated():
                    members[country] = self._member(country, troubles)
            except TrustListInvalid as error:
                members[country] = self._previous(country)
                troubles.append(_trouble(country, error))
        return self._without_shared_keys(members, troubles), troubles

    def _member(self, country: CountryCode, troubles: list[Trouble]) -> MemberTexts:
        if not self._lists.has_signed(country):  # it is only joining, or a paper counterpart
            return MemberTexts()
        path, profile_path = layout.member_paths(country)
        raw, profile = self._target(path), self._target(profile_path)
        signed = member_list(self._folder.metadata, country)
        self._versions[country] = signed.version
        if raw is not None:
            read_member(raw, country, where=path)
        return MemberTexts(
            document=None if raw is None else _text(raw, path),
            profile=None if profile is None else self._profile(country, profile, troubles),
            expires=signed.expires,
        )

    def _profile(self, country: CountryCode, raw: bytes, troubles: list[Trouble]) -> str | None:
        """Return the profile's text, or the previous one where it cannot be read.

        A profile written for a newer program must not hold back the keys that were signed with it, revocations least.
        """
        try:
            read_profile_of(country, raw)
            return _text(raw, layout.profile_path(country))
        except TrustListInvalid as error:
            troubles.append(_trouble(country, error))
            return self._previous(country).profile

    def _previous(self, country: CountryCode) -> MemberTexts:
        return self._held.members.get(country, MemberTexts()) if self._held is not None else MemberTexts()

    def _without_shared_keys(
        self, members: dict[CountryCode, MemberTexts], troubles: list[Trouble]
    ) -> dict[CountryCode, MemberTexts]:
        """Put back whoever newly claims a key that another member has: its signatures would speak for two countries.

        Who had the key before keeps it; where nobody had, nobody gets it. What was in force together shares no key, so
        this ends.
        """
        while claimants := self._claimants(members):
            for country in claimants:
                members = {**members, country: self._previous(country)}
                error = TrustListInvalid(
                    "A key is claimed by two members.", where=layout.member_path(country), rule=TrustRule.SHARED_KEY
                )
                troubles.append(_trouble(country, error))
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

    def _catalogue(self) -> Digest | None:
        raw = self._target(layout.CATALOGUE)
        if raw is None:
            return None
        info = self._updater.get_targetinfo(layout.CATALOGUE)
        digest = Digest(info.hashes["sha256"]) if info is not None else None
        if self._held is None or self._held.catalogue != digest:
            load_bundle(raw)
        return digest

    def _must(self, path: str) -> bytes:
        raw = self._target(path)
        if raw is None:
            raise TrustListInvalid("The list does not name this document.", where=path, rule=TrustRule.MISSING)
        return raw

    def _target(self, path: str) -> bytes | None:
        """Return a document's verified bytes, from the last look where they are the same; None: nobody signed one."""
        info = self._updater.get_targetinfo(path)
        if info is None:
            return None
        file = self._updater.find_cached_target(info) or self._updater.download_target(info)
        return Path(file).read_bytes()


class _Folder:
    """Where the Updater keeps what it believes while it works; between two looks the database keeps it."""

    def __init__(self, folder: Path, memory: Mapping[str, bytes]) -> None:
        self.metadata = folder / "metadata"
        self.targets = folder / "targets"
        self._before = memory.get(layout.CATALOGUE_FILE)
        for part in (self.metadata / "root_history", self.targets, folder / PROCEDURES):
            part.mkdir(parents=True)
        for name, raw in memory.items():
            (folder / name).write_bytes(raw)

    def keep_tables(self) -> None:
        """Keep the procedure tables of a catalogue that was replaced: open procedures are governed by them for life."""
        before, file = self._before, self.metadata.parent / layout.CATALOGUE_FILE
        if before is None or before == file.read_bytes():
            return
        for name, raw in tables_of(read_bundle_files(before)).items():
            (self.metadata.parent / name).write_bytes(raw)

    def memory(self) -> dict[str, bytes]:
        """Return the files by their names; the link to the newest root is made anew each time."""
        root = self.metadata.parent
        files = [file for file in root.rglob("*.json") if file.is_file() and not file.is_symlink()]
        return {file.relative_to(root).as_posix(): file.read_bytes() for file in files}


def _never_back(held: ListDocument | None, fresh: ListDocument) -> None:
    if held is not None and fresh.standing < held.standing:
        raise TrustListInvalid(
            "The list is older than the one in force.", where="snapshot.json", rule=TrustRule.GOES_BACK
        )


def _kids(country: CountryCode, texts: MemberTexts) -> frozenset[str]:
    if texts.document is None:
        return frozenset()
    member = read_member(texts.document.encode("utf-8"), country, where=layout.member_path(country))
    return frozenset(key.kid for key in member.keys)


def _text(raw: bytes, where: str) -> str:
    try:
        return raw.decode("utf-8")
    except UnicodeDecodeError:
        raise TrustListInvalid("The document is not UTF-8.", where=where, rule=TrustRule.MALFORMED) from None


def _trouble(country: CountryCode, error: TrustListInvalid) -> Trouble:
    place = f" ({error.where})" if error.where else ""
    return Trouble(country=country, rule=error.rule, detail=f"{error.detail}{place}")


_RULES: tuple[tuple[type[Exception], TrustRule, str], ...] = (  # the special before the general
    (tuf_errors.ExpiredMetadataError, TrustRule.EXPIRED, "A signed list has run out."),
    (tuf_errors.BadVersionNumberError, TrustRule.VERSION, "A signed list is older than one seen before, or skipped."),
    (tuf_errors.UnsignedMetadataError, TrustRule.THRESHOLD, "A list is not signed by enough of its officers."),
    (tuf_errors.LengthOrHashMismatchError, TrustRule.HASH, "A file is not the one that was signed for."),
    (tuf_errors.RepositoryError, TrustRule.MALFORMED, "A signed list cannot be read."),
    (tuf_errors.DownloadLengthMismatchError, TrustRule.TOO_LARGE, "A file is larger than it may be."),
    (tuf_errors.SlowRetrievalError, TrustRule.UNREACHABLE, "The source of the trust list is too slow."),
    (tuf_errors.DownloadError, TrustRule.UNREACHABLE, "The source of the trust list does not answer."),
)


@contextmanager
def _translated() -> Iterator[None]:
    """Turn what TUF raises into the rule that was broken; its texts may hold anything and go no further."""
    try:
        yield
    except TrustListInvalid:
        raise
    except tuf_errors.DownloadHTTPError as error:
        raise _of_status(error.status_code) from None
    except (tuf_errors.RepositoryError, tuf_errors.DownloadError) as error:
        rule, sentence = next((rule, text) for kind, rule, text in _RULES if isinstance(error, kind))
        raise TrustListInvalid(sentence, rule=rule) from None
    except (ValueError, KeyError, TypeError, RecursionError) as error:  # what TUF's reader did not foresee
        sentence = f"A signed list cannot be read ({type(error).__name__})."
        raise TrustListInvalid(sentence, rule=TrustRule.MALFORMED) from None
    except OSError as error:
        if is_full(error):
            raise DiskFull from None
        raise HomeInvalid(f"The trust list cannot be worked on ({type(error).__name__}).") from None


def _of_status(status: int) -> TrustListInvalid:
    if status in {403, 404}:
        return TrustListInvalid("A file that the list names is not there.", rule=TrustRule.MISSING)
    return TrustListInvalid(f"The source of the trust list answers {status}.", rule=TrustRule.UNREACHABLE)
