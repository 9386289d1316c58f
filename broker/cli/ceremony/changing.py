# SPDX-FileCopyrightText: The trm-broker authors
# SPDX-License-Identifier: Apache-2.0
"""Changes to a trust list, staged: nothing of it is in force before enough officers have signed and it is published."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path

from broker.catalogue.compatibility import broken_promises
from broker.cli import output
from broker.cli.ceremony.comparing import compare
from broker.cli.ceremony.officers import public_officers, signers_of, warn_of_one, words_of
from broker.cli.ceremony.showing import sifted, staged_document, tell_staged
from broker.cli.input import MAX_BYTES, one_of, parsed, read_bytes
from broker.core.authority_keys import keeping_revocations
from broker.core.errors import BadRequest, CeremonyRefused
from broker.core.ids import CountryCode, KeyId
from broker.core.trust import MemberKind, RevocationReason
from broker.schema_files import read_schema_files
from broker.system import SystemClock
from broker.trust import layout
from broker.trust.catalogue_documents import read_bundle_files, write_bundle
from broker.trust.joining import JoiningRequest, admit, read_joining
from broker.trust.member_documents import read_member, write_member
from broker.trust.repository import Repository
from broker.trust.words import fingerprint_words

__all__ = [
    "add_member", "add_paper_member", "discard", "init", "member_officers", "remove_member", "renew", "resume", "revoke_key", "rotate_root", "stage",
    "suspend", "update_member",
]  # fmt: skip

_SHOWN = 5  # files that break a promise, named; the rest is counted


def init(
    folder: Path, *, name: str, officers: Sequence[Path], threshold: int | None, online: Path, as_json: bool
) -> None:
    """Stage a new federation: its root, its list without members, and the message catalogue.

    Raises:
        CeremonyRefused: there is one already, or the threshold does not fit.
        BadRequest, TrustListInvalid: a public key cannot be read.
    """
    signers, publisher, now = signers_of(officers, threshold), public_officers([online])[0], SystemClock().now()
    repository = Repository.create(folder, name=name, federation=signers, online=publisher, now=now)
    repository.set_document(layout.CATALOGUE, write_bundle(read_schema_files()), now=now)
    _tell(repository, as_json=as_json)
    if not as_json:
        warn_of_one(signers)


def add_member(folder: Path, request: Path, *, words: str | None, as_json: bool) -> None:
    """Stage a joining country, after its words were compared.

    Raises:
        BadRequest: the words are not those of the file.
        CeremonyRefused, TrustListInvalid: the request is not to be believed.
    """
    raw = read_bytes(request, most=MAX_BYTES)
    joining = read_joining(raw, where=str(request))
    compare(raw, words, what="request", reader=f"an officer of {joining.country}")
    repository = Repository(folder)
    admit(repository, joining, now=SystemClock().now())
    _tell(repository, as_json=as_json, first=lambda: _tell_joining(raw, joining))


def add_paper_member(folder: Path, country: str, *, as_json: bool) -> None:
    """Stage a country without a node: the federation's own officers speak for its documents.

    Raises:
        BadRequest: the country is none.
        CeremonyRefused: there is no trust repository.
    """
    repository = Repository(folder)
    name = parsed(CountryCode, country, "COUNTRY")
    repository.set_member(name, repository.signers(layout.TARGETS), kind=MemberKind.PAPER, now=SystemClock().now())
    _tell(repository, as_json=as_json)


def update_member(folder: Path, country: str, *, member: Path | None, profile: Path | None, as_json: bool) -> None:
    """Stage a member's new document or profile: its own officers sign it.

    A file that was written before a key was revoked does not take that back: what is revoked stays so, and is told.

    Raises:
        BadRequest: nothing is given, or a file cannot be read.
        CeremonyRefused, TrustListInvalid: it is not such a document, or the country is no member.
    """
    name, now = parsed(CountryCode, country, "COUNTRY"), SystemClock().now()
    given = {layout.member_path(name): member, layout.profile_path(name): profile}
    files = {path: file for path, file in given.items() if file is not None}
    if not files:
        raise BadRequest("Name the new document, the new profile, or both.", where="--member, --profile")
    repository = Repository(folder)
    for path, file in files.items():
        raw = read_bytes(file, most=MAX_BYTES)
        repository.set_document(path, _kept(repository, name, raw) if file is member else raw, now=now)
    _tell(repository, as_json=as_json)


def _kept(repository: Repository, country: CountryCode, raw: bytes) -> bytes:
    """Return the document with what is revoked in the newest list."""
    path = layout.member_path(country)
    newest = repository.document(path)
    if newest is None:
        return raw
    member = read_member(raw, country, where=path)
    kept = keeping_revocations(member, read_member(newest, country, where=path))
    if kept == member:
        return raw
    output.console(stderr=True).print(
        "The file was written before a key of it was revoked. The key stays revoked: have the node take the newest list "
        "(trm trust refresh) before its next document."
    )
    return write_member(kept)


def member_officers(
    folder: Path, country: str, *, officers: Sequence[Path], threshold: int | None, as_json: bool
) -> None:
    """Stage other officers of a member: the federation's officers sign that, and the new ones their country's documents.

    Raises:
        BadRequest: the country is none, or an officer of another one is named.
        CeremonyRefused: it is no member with officers of its own, or the threshold does not fit.
        TrustListInvalid: a file is not an officer's public document.
    """
    name = parsed(CountryCode, country, "COUNTRY")
    signers = signers_of(officers, threshold)
    if any(officer.country != name for officer in signers.officers):
        raise BadRequest("A country's officers are its own; name each of them, those who stay too.", where="--officer")
    repository = Repository(folder)
    held = repository.federation().members.get(name)
    if held is None or held.kind is not MemberKind.STATE:
        raise CeremonyRefused("It is no member with officers of its own.", where=name)
    repository.set_member(name, signers, now=SystemClock().now())
    _tell(repository, as_json=as_json, first=lambda: warn_of_one(signers))


def stage(folder: Path, document: str, file: Path | None, *, as_json: bool) -> None:
    """Stage the federation's arrangements or catalogue.

    Raises:
        BadRequest: there is no such document, or it cannot be read.
        CeremonyRefused, TrustListInvalid: a node would refuse it, or the catalogue changes what is published.
    """
    repository, now = Repository(folder), SystemClock().now()
    if document == "catalogue":
        files = read_schema_files(file)
        raw = write_bundle(files)
        _check_promises(repository.published_document(layout.CATALOGUE), files)
        repository.set_document(layout.CATALOGUE, raw, now=now)
    elif document == "arrangements" and file is not None:
        repository.set_document(layout.ARRANGEMENTS, read_bytes(file, most=MAX_BYTES), now=now)
    else:
        raise BadRequest("Stage 'arrangements' from a file, or 'catalogue' from a folder.", where="DOCUMENT")
    _tell(repository, as_json=as_json)


def _check_promises(published: bytes | None, files: Mapping[str, bytes]) -> None:
    """Refuse a catalogue in which a published version means something else: other countries decide with their copy."""
    broken = () if published is None else broken_promises(read_bundle_files(published), files)
    if broken:
        shown = "; ".join(broken[:_SHOWN]) + (f"; and {len(broken) - _SHOWN} more" if len(broken) > _SHOWN else "")
        raise CeremonyRefused(f"What a published version accepts never changes; give it a new version. {shown}")


def suspend(folder: Path, country: str, *, reason: str, as_json: bool) -> None:
    """Stage a suspension.

    Raises:
        BadRequest, CeremonyRefused: it is no member.
    """
    _change(folder, as_json, lambda r, now: r.suspend(parsed(CountryCode, country, "COUNTRY"), reason, now=now))


def resume(folder: Path, country: str, *, as_json: bool) -> None:
    """Stage the end of a suspension.

    Raises:
        BadRequest, CeremonyRefused: it is no member.
    """
    _change(folder, as_json, lambda r, now: r.resume(parsed(CountryCode, country, "COUNTRY"), now=now))


def remove_member(folder: Path, country: str, *, as_json: bool) -> None:
    """Stage that a country is no member any more.

    Raises:
        BadRequest, CeremonyRefused: it is none.
    """
    _change(folder, as_json, lambda r, now: r.remove_member(parsed(CountryCode, country, "COUNTRY"), now=now))


def revoke_key(folder: Path, country: str, key: str, *, reason: str, at: str | None, as_json: bool) -> None:
    """Stage the revocation of a member's message key: its own officers sign it.

    Raises:
        BadRequest: country, key, reason or time is not one.
        CeremonyRefused: the member does not list the key.
    """
    name, kid = parsed(CountryCode, country, "COUNTRY"), parsed(KeyId, key, "KEY")
    because = one_of(RevocationReason, reason, "--reason")
    _change(folder, as_json, lambda r, now: r.revoke_key(name, kid, at=_time(at) or now, reason=because, now=now))


def rotate_root(
    folder: Path, *, officers: Sequence[Path], threshold: int | None, online: Path | None, as_json: bool
) -> None:
    """Stage a new root: other officers, another publishing key, or a new lifetime.

    Raises:
        BadRequest, TrustListInvalid: a public key cannot be read.
        CeremonyRefused: there is no published root, or the threshold does not fit.
    """
    federation = signers_of(officers, threshold) if officers else None
    publisher = public_officers([online])[0] if online is not None else None
    _change(folder, as_json, lambda r, now: r.rotate_root(federation=federation, online=publisher, now=now))


def renew(folder: Path, role: str, *, as_json: bool) -> None:
    """Stage the same content with a new lifetime.

    Raises:
        CeremonyRefused: there is no such role.
    """
    _change(folder, as_json, lambda r, now: r.renew(role, now=now))


def discard(folder: Path, role: str, *, as_json: bool) -> None:
    """Forget what waits for signatures of one role.

    Raises:
        CeremonyRefused: nothing does.
    """
    _change(folder, as_json, lambda r, _: r.discard(role))


def _change(folder: Path, as_json: bool, change: Callable[[Repository, datetime], object]) -> None:
    repository = Repository(folder)
    change(repository, SystemClock().now())
    _tell(repository, as_json=as_json)


def _tell(repository: Repository, *, as_json: bool, first: Callable[[], None] | None = None) -> None:
    waiting = sifted(repository)

    def people() -> None:
        if first is not None:
            first()
        for item in waiting:
            tell_staged(item)
        output.console().print(
            f"Nothing of this is in force yet. Next: enough officers sign (trm trust sign {output.word(repository.folder)} --key FILE), "
            f"then it is published."
            if waiting
            else "Nothing waits for signatures."
        )

    document = {"folder": str(repository.folder), "waiting": [staged_document(item) for item in waiting]}
    output.answer(document, as_json=as_json, people=people)


def _tell_joining(raw: bytes, joining: JoiningRequest) -> None:
    console = output.console()
    console.print(f"{joining.country} asks to join. Words of the file: {fingerprint_words(raw)}")
    console.print(
        "Each officer who signs compares these words with the country's officers, by a number they already had."
    )
    for officer in joining.signers.officers:
        console.print(f"  {officer.label}: {words_of(officer)}")


def _time(text: str | None) -> datetime | None:
    if text is None:
        return None
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise BadRequest("A time is written like 2026-11-22T03:00:00Z.", where="--at") from None
    if moment.tzinfo is None:
        raise BadRequest("The time needs its zone, e.g. Z for UTC.", where="--at")
    return moment.astimezone(UTC)
