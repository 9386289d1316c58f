# SPDX-FileCopyrightText: The trm-broker authors
# SPDX-License-Identifier: Apache-2.0
"""What an operator of this node must mend."""

from __future__ import annotations

from broker.core.families import Actor, NodeError

__all__ = [
    "AdapterFailed",
    "BackupInvalid",
    "CaseKeyMissing",
    "CatalogueInvalid",
    "CeremonyRefused",
    "CertificateInvalid",
    "DiskFull",
    "Healing",
    "HomeInvalid",
    "Internal",
    "IssuerUnavailable",
    "KeyMissing",
    "NodeRunning",
    "Overloaded",
    "PublishRefused",
    "PublishUnconfirmed",
    "SettingsInvalid",
    "StoreCorrupt",
    "StoreNeedsMigration",
    "StoreUnavailable",
    "TransportUnavailable",
    "TrustListExpired",
    "TrustListInvalid",
    "Unroutable",
    "VaultLocked",
]


class SettingsInvalid(NodeError):
    """The settings file cannot be read or says something impossible."""

    code = "settings-invalid"


class HomeInvalid(NodeError):
    """The node's home folder is missing or incomplete."""

    code = "home-invalid"


class KeyMissing(NodeError):
    """The vault does not hold a key that the trust list gives for this node, or that its stored data needs."""

    code = "key-missing"


class CaseKeyMissing(NodeError):
    """The key of one case is not here: restore the newest backup of the keys; all other cases go on."""

    code = "case-key-missing"


class VaultLocked(NodeError):
    """The vault does not open with the passphrase given."""

    code = "vault-locked"


class CertificateInvalid(NodeError):
    """A certificate for the message broker cannot be used."""

    code = "certificate-invalid"


class TrustListInvalid(NodeError):
    """The trust list cannot be read; the previous one stays in force."""

    code = "trust-list-invalid"
    who = Actor.FEDERATION

    def __init__(self, detail: str | None = None, *, where: str | None = None, rule: str | None = None) -> None:
        """Args:
        detail: one sentence for people.
        where: file or place in a document.
        rule: the `core.trust.TrustRule` that was broken; None: the document's form.
        """
        super().__init__(detail, where=where)
        self.rule = rule or "document"


class TrustListExpired(NodeError):
    """The trust list ran out too long ago: sending waits until the federation has renewed it."""

    code = "trust-list-expired"
    who = Actor.FEDERATION


class CeremonyRefused(NodeError):
    """The trust repository does not take this step as it stands."""

    code = "ceremony-refused"
    who = Actor.FEDERATION
    http_status = 409


class CatalogueInvalid(NodeError):
    """A schema or procedure table cannot be used."""

    code = "catalogue-invalid"


class StoreUnavailable(NodeError):
    """The database does not answer."""

    code = "store-unavailable"


class StoreNeedsMigration(NodeError):
    """The database has another schema version than this program."""

    code = "store-needs-migration"


class StoreCorrupt(NodeError):
    """The database holds something that this program did not write; restore it from a backup."""

    code = "store-corrupt"


class BackupInvalid(NodeError):
    """The file is not a backup that can be used here: damaged, another node's, or not opened by this key."""

    code = "backup-invalid"


class NodeRunning(NodeError):
    """A node is running on this home or database; stop it first."""

    code = "node-running"
    http_status = 409


class Healing(NodeError):
    """This node was restored from a backup and asks that country first what it misses; try again shortly."""

    code = "healing"


class DiskFull(NodeError):
    """There is no room left on the disk."""

    code = "disk-full"


class TransportUnavailable(NodeError):
    """The message broker or spool cannot be reached."""

    code = "transport-unavailable"


class Unroutable(NodeError):
    """The message broker has no queue for that country."""

    code = "unroutable"


class PublishRefused(NodeError):
    """The message broker did not take the message: its queue is full or it may not be written."""

    code = "publish-refused"


class PublishUnconfirmed(NodeError):
    """The message broker did not confirm in time; the outcome is unknown and the same bytes are sent again."""

    code = "publish-unconfirmed"


class AdapterFailed(NodeError):
    """The national system's adapter did not take the message."""

    code = "adapter-failed"


class Overloaded(NodeError):
    """This node is busy; try again shortly."""

    code = "overloaded"


class IssuerUnavailable(NodeError):
    """The issuer of access tokens cannot be reached, so no token of it can be checked."""

    code = "issuer-unavailable"


class Internal(NodeError):
    """Something unforeseen went wrong; the reference number finds it in this node's log."""

    code = "internal"
    http_status = 500
