# SPDX-FileCopyrightText: The trm-broker authors
# SPDX-License-Identifier: Apache-2.0
"""The two sides of a procedure."""

from broker.core.roles import Role


def test_a_procedure_has_exactly_two_sides():
    """Who asked and who was asked; the words are those of messages and tables."""
    assert [role.value for role in Role] == ["REQUESTING", "REQUESTED"]
