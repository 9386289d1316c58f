# SPDX-FileCopyrightText: The trm-broker authors
# SPDX-License-Identifier: Apache-2.0
"""R-15, R-36: who may be a child is treated as one, and what only a child can be asked about ends on the day of majority.

- All that both sides told of the birth in the procedure counts, as it reads after its corrections (`adulthood.py`); a birth
  that a correction replaced stays a doubt until there is a decision on age.
- A message by which somebody is of age, after others that leave it open or say otherwise, waits for a second person, unless
  a correction of the procedure names the decision on age. Where the other country knows no such version yet, whoever
  releases it names the decision in the reason, and the person stays presumed a child in the procedure.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from broker.core.adulthood import Told, of_age, only_for_children
from broker.core.corrected import CORRECTING, as_corrected, replaced, targets_of
from broker.core.elsewhere import looks_elsewhere
from broker.core.messages import ValidMessage
from broker.core.reasons import Earlier, Reason, block, hold, this_too, warn
from broker.core.sides import Sides

__all__ = ["TELLS_AGE", "childhood", "told_of_child"]

# Types that may tell a birth or name a decision on age, and that no other rule asks to be read however old they are.
TELLS_AGE = frozenset({"identity.reply", "monitoring.breakdown", "monitoring.incident", "monitoring.report"})


def childhood(message: ValidMessage, earlier: Sequence[Earlier], sides: Sides) -> Iterator[Reason]:
    """Yield what a message has against it because somebody is, or may be, a child or no child any more."""
    header = message.header
    before, after = told_of_child(earlier), told_of_child(this_too(earlier, message))
    yield from _undecided(before, after, sides)
    if not only_for_children(header.legal_basis) or not after.of_age(sides.day):
        return
    if sides.opening or looks_elsewhere(header.type):
        text = "By the recorded birth this person is of age: this legal basis is for children only."
        yield block("R-36", "of-age", "", f"{text} It goes on as an adult's, with own consent, on another basis.")
    else:
        text = "By the recorded birth this person is of age: close this procedure, or go on as an adult's with own consent."
        yield warn("R-36", "turned-of-age", "", text)


def told_of_child(earlier: Sequence[Earlier]) -> Told:
    """Return what messages, oldest first, tell of the child; a birth that was corrected stays a doubt without a decision."""
    doubts = ({"child": one.body["child"]} for one in replaced(earlier) if "child" in one.body)
    own = {(one.author, str(one.digest)) for one in earlier}

    def decides(one: Earlier) -> bool:
        """Whether it may name a decision on age: in a correction only for what its own side said here."""
        return one.type.act not in CORRECTING or any((one.author, target) in own for target in targets_of(one.body))

    return Told.by([*doubts, *(one.body for one in as_corrected(earlier) if decides(one))])


def _undecided(before: Told, after: Told, sides: Sides) -> Iterator[Reason]:
    """R-15; ATD 13(2), CETS197 10(3): no message makes an adult of who may be a child without a decision on age."""
    makes_adult = any(of_age(child, sides.day) for child in after.births if child not in before.births)
    settled = before.decided is not False and all(of_age(child, sides.day) for child in before.births)
    if makes_adult and not after.decided and not settled:
        text = (
            "What was told before leaves open whether this person is a child, or says so. Only a decision on age says "
            "otherwise: name it in a correction (age_decision), or in the reason of the release."
        )
        yield hold("R-15", "age-not-decided", "", text)
