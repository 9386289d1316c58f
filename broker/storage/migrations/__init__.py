# SPDX-FileCopyrightText: The trm-broker authors
# SPDX-License-Identifier: Apache-2.0
"""Alembic's revisions, oldest first. They are history: a revision that was released is never edited."""

__all__: list[str] = []
