# SPDX-FileCopyrightText: The trm-broker authors
# SPDX-License-Identifier: Apache-2.0
"""What waits for signatures: the changes in words, the digest of the bytes to sign, who signed and who still may."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from tuf.api.metadata import Metadata, Root, TargetFile, Targets

from broker.core.errors import CeremonyRefused, TrustListInvalid
from broker.trust import layout
from broker.trust.believing import believed
from broker.trust.changes import Change, compare, lay_out_document, lay_out_root, lay_out_targets
from broker.trust.checking import check_document
from broker.trust.folder import Signed, TrustFolder
from broker.trust.officer_keys import Officer, officer_of
from broker.trust.strict import read_json

__all__ = ["Spoiled", "StagedRole", "digest_of", "sifted", "signed_by", "staged_role"]


@dataclass(frozen=True, slots=True, kw_only=True)
class StagedRole:
    """The next version of a role as an officer must see it before signing."""

    role: str  # root, targets, or a member's country code
    version: int
    expires: datetime
    digest: str  # SHA-256 of exactly the bytes that are signed
    changes: tuple[Change, ...]  # against the published version; against nothing where its officers did not sign that
    signed_by: tuple[Officer, ...]  # those whose signature verifies and counts
    waiting: tuple[Officer, ...]  # those whose signature would count
    missing: int  # signatures until it can be published

    @property
    def complete(self) -> bool:
        """Whether enough officers have signed."""
        return self.missing == 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Spoiled:
    """A role whose next version lies there and nobody could sign, or no node would take; and why."""

    role: str
    error: CeremonyRefused | TrustListInvalid


def digest_of(metadata: Metadata[Any]) -> str:
    """Return the digest of the bytes that a signature of this version covers."""
    return hashlib.sha256(metadata.signed_bytes).hexdigest()


def staged_role(folder: TrustFolder, role: str, delegator: Root | Targets) -> StagedRole:
    """Return what is staged of a role.

    Args:
        folder: of the repository.
        role: one that is staged.
        delegator: says which officers count.

    Raises:
        CeremonyRefused: nothing is staged, or a document that it names is not in the folder.
        TrustListInvalid: a document does not have its form: nodes would refuse what officers are asked to sign.
    """
    metadata, published = folder.staged(role), believed(folder, role)
    if metadata is None:
        raise CeremonyRefused("Nothing of this role waits for signatures.", where=role)
    _check_documents(folder, metadata, published)
    signed, unsigned, missing = _counted(folder, role, metadata, delegator)
    return StagedRole(
        role=role,
        version=metadata.signed.version,
        expires=metadata.signed.expires,
        digest=digest_of(metadata),
        changes=compare(_layout(folder, published), _layout(folder, metadata)),
        signed_by=signed,
        waiting=unsigned,
        missing=missing,
    )


def sifted(
    folder: TrustFolder, delegator: Callable[[str], Root | Targets]
) -> tuple[tuple[StagedRole, ...], tuple[Spoiled, ...]]:
    """Part what lies there by role, so that what is wrong with one country's part keeps nobody from another's."""
    waiting, spoiled = list[StagedRole](), list[Spoiled]()
    for role in folder.staged_roles():
        try:
            waiting.append(staged_role(folder, role, delegator(role)))
        except (CeremonyRefused, TrustListInvalid) as error:
            spoiled.append(Spoiled(role=role, error=error))
    return tuple(waiting), tuple(spoiled)


def signed_by(
    folder: TrustFolder, role: str, metadata: Metadata[Any], delegator: Root | Targets
) -> tuple[Officer, ...]:
    """Return the officers whose signature under a version verifies and counts."""
    return _counted(folder, role, metadata, delegator)[0]


def _counted(
    folder: TrustFolder, role: str, metadata: Metadata[Any], delegator: Root | Targets
) -> tuple[tuple[Officer, ...], tuple[Officer, ...], int]:
    previous = folder.published(layout.ROOT) if role == layout.ROOT else None
    if previous is not None and isinstance(delegator, Root):
        both = delegator.get_root_verification_result(previous.signed, metadata.signed_bytes, metadata.signatures)
        missing = max(both.first.missing, both.second.missing)
        return _officers(both.signed), _officers(both.unsigned), missing
    one = delegator.get_verification_result(role, metadata.signed_bytes, metadata.signatures)
    return _officers(one.signed), _officers(one.unsigned), one.missing


def _officers(keys: dict[str, Any]) -> tuple[Officer, ...]:
    return tuple(officer_of(key) for key in keys.values())


def _check_documents(folder: TrustFolder, metadata: Signed, published: Signed | None) -> None:
    """Judge each document that is new: the folder comes on a stick, and what lies there no ceremony need have staged."""
    if isinstance(metadata.signed, Root):
        return
    before = {} if published is None else published.signed.targets
    for path, file in metadata.signed.targets.items():
        if before.get(path) != file:
            check_document(path, _document(folder, path, file))


def _document(folder: TrustFolder, path: str, file: TargetFile) -> bytes:
    raw = folder.document(path, file.hashes.get("sha256", ""))
    if raw is None or len(raw) != file.length:
        raise CeremonyRefused("A document that would be signed for is not in the folder.", where=path)
    return raw


def _layout(folder: TrustFolder, metadata: Metadata[Any] | None) -> dict[str, str]:
    """Return everything that a version says, with the content of the documents that it names."""
    if metadata is None:
        return {}
    if isinstance(metadata.signed, Root):
        return lay_out_root(metadata.signed)
    laid_out = lay_out_targets(metadata.signed)
    for path, file in metadata.signed.targets.items():
        laid_out |= lay_out_document(path, read_json(_document(folder, path, file), where=path))
    return laid_out
