# SPDX-FileCopyrightText: The trm-broker authors
# SPDX-License-Identifier: Apache-2.0
"""Publishing what enough officers have signed, under a new snapshot and timestamp by the online key.

Everything is judged before anything is written, and the timestamp is written last: a reader sees the old state whole or
the new one whole. Interrupted and run again, it writes the same once more. A member's version that nodes would not take
is left out and named: no country's officers hold up the others' lists, a revocation in the night among them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from tuf.api.metadata import Metadata, MetaFile, Root, Snapshot, Timestamp

from broker.core.errors import CeremonyRefused
from broker.trust import layout
from broker.trust.believing import believed_roots, follows, verified_by
from broker.trust.folder import Signed, TrustFolder
from broker.trust.officer_keys import OfficerKey
from broker.trust.signers import end_of
from broker.trust.staging import Spoiled

__all__ = ["Published", "publish"]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Version:
    """The version of a role that will be in force."""

    metadata: Metadata[Any]
    fresh: bool  # it was staged until now
    documents: tuple[tuple[str, str, bytes], ...] = ()  # path, hash and bytes of what a fresh one names


@dataclass(frozen=True, slots=True, kw_only=True)
class Published:
    """What was published."""

    version: int  # of the snapshot
    left_out: tuple[Spoiled, ...]  # members whose newest version no node would take; what was in force of them still is


def publish(folder: TrustFolder, online: OfficerKey, *, now: datetime) -> Published:
    """Publish what is complete.

    Raises:
        CeremonyRefused: nodes would refuse the result; nothing was written.
    """
    roots = _checked_roots(folder)
    root = _must(
        _next(folder, layout.ROOT, lambda staged: follows(roots[: staged.signed.version - 1], staged)), layout.ROOT
    )
    _check_online(root.metadata.signed, online)
    targets = _must(_next(folder, layout.TARGETS, _signed_for(root, layout.TARGETS)), layout.TARGETS)
    if not verified_by(root.metadata.signed, layout.TARGETS, targets.metadata):
        raise CeremonyRefused("The federation's officers of the root must sign its list first.", where=layout.TARGETS)
    members, left_out = _members(folder, targets)
    versions = {layout.TARGETS: _with_documents(folder, targets), **members}
    if root.fresh:
        folder.publish(layout.ROOT, root.metadata)
    for version in versions.values():
        for path, sha256, raw in version.documents:
            folder.publish_document(path, sha256, raw)
    published = _publish_lists(folder, versions, online, now=now)
    _unstage(folder, {layout.ROOT: root, **versions})
    return Published(version=published, left_out=left_out)


def _next(folder: TrustFolder, role: str, complete: Callable[[Metadata[Any]], bool]) -> _Version | None:
    """Return the staged version when enough have signed it, else the published one.

    An older version that was signed once, and lies there again, is not staged: nodes never go back.
    """
    staged, published = folder.staged(role), folder.published(role)
    if staged is not None and complete(staged) and (published is None or _goes_on(published, staged)):
        return _Version(metadata=staged, fresh=True)
    return None if published is None else _Version(metadata=published, fresh=False)


def _goes_on(published: Metadata[Any], staged: Metadata[Any]) -> bool:
    """Whether it is newer, or the same once more after an interruption."""
    newer: bool = staged.signed.version > published.signed.version
    return newer or staged.signed_bytes == published.signed_bytes


def _must(version: _Version | None, role: str) -> _Version:
    if version is None:
        raise CeremonyRefused("The first version needs more signatures before anything is published.", where=role)
    return version


def _checked_roots(folder: TrustFolder) -> tuple[Signed, ...]:
    """Return the published roots.

    Raises:
        CeremonyRefused: one is not signed by the officers before it; nodes would not get past it.
    """
    roots, newest = believed_roots(folder), folder.published(layout.ROOT)
    if newest is not None and (not roots or roots[-1].signed.version != newest.signed.version):
        raise CeremonyRefused("A root in the folder is not signed by the officers before it.", where=layout.ROOT)
    return roots


def _signed_for(delegator: _Version, role: str) -> Callable[[Metadata[Any]], bool]:
    return lambda staged: verified_by(delegator.metadata.signed, role, staged)


def _members(folder: TrustFolder, targets: _Version) -> tuple[dict[str, _Version], tuple[Spoiled, ...]]:
    """Return the version of each member that has signed anything yet, and the members whose newest one is left out.

    Raises:
        CeremonyRefused: root or targets name other officers than those that signed what is in force.
    """
    delegations = targets.metadata.signed.delegations
    versions, left_out = dict[str, _Version](), list[Spoiled]()
    for name in (delegations.roles or {}) if delegations is not None else ():
        try:
            version = _member(folder, targets, name)
        except CeremonyRefused as error:
            left_out.append(Spoiled(role=name, error=error))
            published = folder.published(name)
            version = None if published is None else _Version(metadata=published, fresh=False)
        if version is None:
            continue
        if not verified_by(targets.metadata.signed, name, version.metadata):
            raise CeremonyRefused("The country's new officers must sign its documents first.", where=name)
        versions[name] = version
    return versions, tuple(left_out)


def _member(folder: TrustFolder, targets: _Version, name: str) -> _Version | None:
    """Return a member's version that will be in force; None: it has signed none yet.

    Raises:
        CeremonyRefused: nodes would not take it.
    """
    version = _next(folder, name, _signed_for(targets, name))
    if version is None:
        return None
    if version.metadata.signed.version > layout.MAX_VERSION:  # no way leads back from it
        raise CeremonyRefused("The country's list has a version that no node takes: remove it.", where=name)
    return _with_documents(folder, version)


def _check_online(root: Root, online: OfficerKey) -> None:
    for role in layout.ONLINE_ROLES:
        if online.officer.keyid not in root.roles[role].keyids:
            raise CeremonyRefused("This is not the key that the root names for publishing.", where=role)


def _with_documents(folder: TrustFolder, version: _Version) -> _Version:
    """Return a fresh version with what it names; what is in force has been published with it.

    Raises:
        CeremonyRefused: a document is not here, or there is none of its path.
    """
    if not version.fresh:
        return version
    documents = []
    for path, file in version.metadata.signed.targets.items():
        sha256 = file.hashes.get("sha256", "")
        raw = folder.document(path, sha256) if sha256 else None
        if raw is None:
            raise CeremonyRefused("A document that is signed for is not in the folder.", where=path)
        documents.append((path, sha256, raw))
    return replace(version, documents=tuple(documents))


def _publish_lists(folder: TrustFolder, versions: Mapping[str, _Version], online: OfficerKey, *, now: datetime) -> int:
    """Write the roles, then the snapshot that names them, then the timestamp that names the snapshot."""
    held = folder.published(layout.SNAPSHOT)
    named: dict[str, MetaFile] = dict(held.signed.meta) if held is not None else {}  # none may ever leave (TUF 5.5.5)
    for role, version in versions.items():
        raw = folder.publish(role, version.metadata)
        named[f"{role}.json"] = _named(version.metadata.signed.version, raw)
    snapshot = Metadata(
        Snapshot(
            version=1 if held is None else held.signed.version + 1, expires=end_of(layout.SNAPSHOT, now), meta=named
        )
    )
    snapshot.sign(online.signer)
    raw = folder.publish(layout.SNAPSHOT, snapshot)
    previous = folder.published(layout.TIMESTAMP)
    timestamp = Metadata(
        Timestamp(
            version=1 if previous is None else previous.signed.version + 1,
            expires=end_of(layout.TIMESTAMP, now),
            snapshot_meta=_named(snapshot.signed.version, raw),
        )
    )
    timestamp.sign(online.signer)
    folder.publish(layout.TIMESTAMP, timestamp)
    return snapshot.signed.version


def _unstage(folder: TrustFolder, versions: Mapping[str, _Version]) -> None:
    for role, version in versions.items():
        if version.fresh:
            folder.unstage(role)
            for path in getattr(version.metadata.signed, "targets", {}):
                folder.unstage_document(path)


def _named(version: int, raw: bytes) -> MetaFile:
    return MetaFile.from_data(version, raw, ["sha256"])
