# SPDX-FileCopyrightText: The trm-broker authors
# SPDX-License-Identifier: Apache-2.0
"""The two sides of a procedure, and the roles under which somebody acts."""

from broker.core.roles import AuditRole, Role


def test_a_procedure_has_exactly_two_sides():
    """Who asked and who was asked; the words are those of messages and tables."""
    assert [role.value for role in Role] == ["REQUESTING", "REQUESTED"]


def test_the_acting_roles_have_the_spelling_that_the_trail_keeps():
    """What stands in a trail for years keeps its meaning."""
    assert [role.value for role in AuditRole] == [
        "officer", "system", "auditor", "admin", "operator", "adapter", "peer", "node",
    ]  # fmt: skip
