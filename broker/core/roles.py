# SPDX-FileCopyrightText: The trm-broker authors
# SPDX-License-Identifier: Apache-2.0
"""The two sides of a procedure, and the roles under which somebody acts at a node."""

from __future__ import annotations

from enum import StrEnum

__all__ = ["PEOPLE", "AuditRole", "Role"]


class Role(StrEnum):
    """The two sides of a procedure."""

    REQUESTING = "REQUESTING"  # wrote the first message
    REQUESTED = "REQUESTED"

    __hash__ = str.__hash__  # equal texts are equal; an enumeration's own is a Python function, in every table's step


class AuditRole(StrEnum):
    """Under which role somebody acted, for the audit trail."""

    OFFICER = "officer"  # a person at an authority
    SYSTEM = "system"  # an authority's own system
    AUDITOR = "auditor"  # a person who looks at the trail, never at content
    ADMIN = "admin"  # a person who keeps the node running, never at content
    OPERATOR = "operator"  # a person at the node's own command line
    ADAPTER = "adapter"  # the translation to a national system
    PEER = "peer"  # another country's node
    NODE = "node"  # this node by itself


PEOPLE = frozenset({AuditRole.OFFICER, AuditRole.OPERATOR})  # are shown content and decide about cases; no program does
