# SPDX-FileCopyrightText: The trm-broker authors
# SPDX-License-Identifier: Apache-2.0
"""R-03: what the other side determined not to be disclosed is not passed on by ours without a second look; B2b 89(2)-(3).

A determination binds whoever received what it is about. The addressee of every message of a procedure is its author's
own country; what could disclose it is an office of ours that is brought in, for it sees the whole record from then on.
Another country is another procedure. Only the author takes a determination back: by a later one, or by a correction.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from broker.core.excluded import brought_in
from broker.core.ids import CountryCode, MessageType
from broker.core.messages import Body
from broker.core.reasons import Earlier, Reason, hold

__all__ = ["determines", "passed_on"]

# Answers that may carry a determination (a request that may is read before every later message anyway); a test holds it
# against the schemas.
_DETERMINING = frozenset(
    {
        "best-interests.information", "carer-assessment.report", "child-information.reply",
        "family-tracing.partial-result", "family-tracing.result",
    }
)  # fmt: skip


def determines(kind: MessageType) -> bool:
    """Whether a message of that type may determine that something is not to be disclosed."""
    return kind in _DETERMINING


def passed_on(body: Body, earlier: Sequence[Earlier], other: CountryCode) -> Iterator[Reason]:
    """Yield the places at which a message brings in an office that would see what the other side keeps undisclosed."""
    places = [where for where, _ in brought_in(body)]
    if not places or not any(_stands(item.body) for item in earlier if item.author == other):
        return
    for where in places:
        text = (
            "The other side determined that something of this record is not to be disclosed: this office would see it."
        )
        yield hold("R-03", "undisclosed-passed-on", where, text)


def _stands(body: Body) -> bool:
    stated = body.get("non_disclosure")
    if not isinstance(stated, Mapping):
        return stated is not None  # a correction made words of it: nobody has taken it back
    return "covers" in stated.get("value", stated) or "unknown" in stated or "withheld" in stated
