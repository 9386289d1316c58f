# SPDX-FileCopyrightText: The trm-broker authors
# SPDX-License-Identifier: Apache-2.0
"""Asking the sender for what a faulty part should have said: the office's refusal, after its node has taken the message.

A node has answered ``delivered`` before the office opens anything, and the first answer stands (PROTOCOL 9.2). What the
office cannot use it asks for anew, by the act that every procedure has for what is unclear.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from broker.core.errors import BadRequest
from broker.sealed.opening import Fault, Surroundings

__all__ = ["clarification"]

_MOST = 20  # questions of one clarification


def clarification(
    around: Surroundings,
    header: Mapping[str, Any],
    faults: Sequence[Fault],
    *,
    asked_by: Mapping[str, Any],
    digest: str,
) -> dict[str, Any]:
    """Return a submission that asks the sender to seal the faulty parts anew; it says places and codes, nothing of a child.

    Args:
        around: of the faulty message.
        header: as its JSON has it.
        faults: what was wrong.
        asked_by: the asking office, as ``parts/office.json``.
        digest: of the message; None: the question names its places alone.

    Raises:
        BadRequest: there is nothing to ask, or the message does not say in which procedure it stands.
    """
    if not faults or around.procedure is None:
        raise BadRequest("There is no faulty part to ask about, or the message names no procedure.")
    taken = ("legal_basis", "purpose", "urgency", "language")
    if any(name not in header for name in taken):
        raise BadRequest("The message does not say on which basis it was written.")
    questions = [
        {
            "question": f"Q{number}",
            "text": f"The sealed part at {fault.where} cannot be used ({fault.code}). Please send it again, sealed anew.",
            **({} if digest is None else {"about": digest}),
        }
        for number, fault in enumerate(faults[:_MOST], 1)
    ]
    return {
        **{name: header[name] for name in taken},
        "type": f"{around.type.procedure}.clarification",
        "sender": {"authority": str(around.recipient.authority)},
        "recipient": around.sender.to_json(),
        "procedure": str(around.procedure),
        "exercise": around.exercise,
        "body": {"asked_by": dict(asked_by), "questions": questions, "answer_wished_by": {"unknown": True}},
    }
