# SPDX-FileCopyrightText: The trm-broker authors
# SPDX-License-Identifier: Apache-2.0
"""The record of a procedure: the set of its messages and refusals, and what they add up to."""

from __future__ import annotations

from dataclasses import dataclass

from broker.core.ids import CountryCode, Digest, MessageId

__all__ = ["RecordEntry"]


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordEntry:
    """A message in the set; a stub where the recipient signed a refusal."""

    digest: Digest
    message: MessageId
    author: CountryCode
    act: str
    parents: tuple[Digest, ...]
    code: str | None = None  # the refusal's code: then it is a stub

    @property
    def stub(self) -> bool:
        """Whether the recipient refused it."""
        return self.code is not None
