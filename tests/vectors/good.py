# SPDX-FileCopyrightText: The trm-broker authors
# SPDX-License-Identifier: Apache-2.0
"""Envelopes that every implementation must accept."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from typing import Any

from cases import (
    BODY,
    EE,
    EE_NEW,
    FI,
    FI_NEW,
    HEADER,
    MEMBERS,
    MESSAGE_ID,
    NONCE,
    NOW,
    Case,
    accepted,
    forge,
    listed,
    member,
    message,
    text,
    with_sender,
)
from forge import dump

SCRIPTS = {
    "latin": ("Test-Maarika", "Näidis-Õunapuu-Šňůrka"),
    "greek": ("Δοκιμή-Μαρία", "Παράδειγμα"),
    "cyrillic": ("Тест-Марія", "Приклад-Ґалаґан"),
    "arabic": ("تجربة-مريم", "مثال"),
    "georgian": ("ტესტი-მარიამ", "მაგალითი"),
    "ethiopic": ("ሙከራ-ማርያም", "ምሳሌ"),
    "han": ("測試-馬利亞", "範例𠮷"),
}
NODE = {"country": "EE", "authority": "node"}
BARE: dict[str, Any] = {  # what a message between nodes has otherwise than casework
    "sender": NODE,
    "recipient": {**NODE, "country": "FI"},
    **dict.fromkeys(("language", "urgency", "purpose", "case_ref", "legal_basis", "procedure")),
}


def cases() -> Iterator[Case]:
    """Yield them."""
    yield accepted("ordinary-message", "A family tracing request of ordinary size.")
    for script, (given, family) in SCRIPTS.items():
        says = message({"sought": {"given_names": given, "family_name": family}})
        yield accepted(f"names-in-{script}-script", f"Names in {script} script, written as themselves.", says)
    yield from _contents()
    yield from _lengths()
    yield from _keys()
    yield from _times()


def _contents() -> Iterator[Case]:
    yield accepted(
        "empty-optional-parts",
        "Only the members that a header must have, and an empty body.",
        message({}, type="node.sample", **BARE),
    )
    receipts = [_receipt(number) for number in range(20)]
    for name, comment, some in (
        ("receipts", "A message between nodes with one receipt.", receipts[:1]),
        ("receipts-twenty", "Twenty receipts, the most, still in the smallest length.", receipts),
    ):
        yield accepted(name, comment, message({"receipts": some}, type="node.receipts", **BARE))
    exercise = message(exercise=True, case_ref="EX-" + HEADER["case_ref"])
    yield accepted(
        "exercise-message", "Marked as an exercise in all four headers.", exercise, profile={"exercise": True}
    )
    yield accepted(
        "many-parents", "Names eight heads of its author's record.", message(parents=[f"{n:064x}" for n in range(8)])
    )
    deep: Any = "at the bottom"
    for _ in range(22):
        deep = [deep]
    yield accepted("deepest-nesting", "Containers 24 deep: content, body and 22 arrays.", message({"deep": deep}))
    numbers = {"largest": 2**53 - 1, "smallest": -(2**53 - 1), "zero": 0}
    yield accepted("largest-numbers", "Integers at both ends of what is allowed.", message(numbers))
    odd = {"escapes": '"\\/\b\f\n\r\t\u0001\u001f\u007f', "astral": "𝄞😀", "separators": "\u2028\u2029", "empty": ""}
    yield accepted("every-escape", "Characters that JSON escapes and characters that it does not.", message(odd))
    values = {"none": None, "true": True, "false": False, "list": [], "object": {}, "": "empty name"}
    yield accepted("every-kind-of-value", "Null, booleans, empty containers and an empty member name.", message(values))
    yield accepted(
        "decomposed-text", "Text that is not NFC; reading never changes text.", message({"name": "Na\u0308idis"})
    )


def _receipt(number: int) -> dict[str, Any]:
    return {
        "message": f"019aa9c1-7c00-7abc-8def-{number:012x}",
        "author": "FI",
        "digest": f"{number:064x}",
        "kind": "delivered",
        "at": text(NOW - timedelta(minutes=2)),
        "heads": [f"{number:064x}"],
        "record_digest": "2" * 64,
    }


def _filled(length: int, **profile: Any) -> dict[str, Any]:
    """Return a message whose signed object is exactly that long."""
    exercise = profile.get("exercise", False)
    low, high = 0, length
    while low < high:
        middle = (low + high) // 2
        body = message({"fill": "x" * middle}, exercise=exercise)
        signed = len(forge(content=dump(body), profile=profile, padding=lambda raw: raw).plaintext())
        if signed == length:
            return body
        low, high = (middle + 1, high) if signed < length else (low, middle)
    raise ValueError("no content gives that length")


def _lengths() -> Iterator[Case]:
    yield accepted("first-length-filled", "The signed object fills 16 KiB without any padding.", _filled(16384))
    yield accepted("second-length-begun", "The signed object is one byte larger than 16 KiB.", _filled(16385))
    yield accepted("largest-content", "The signed object fills 1 MiB, the largest length.", _filled(2**20))


def _keys() -> Iterator[Case]:
    day = timedelta(days=1)
    leaving = {"not_before": NOW - 300 * day, "sign_until": NOW - 5 * day, "accept_until": NOW + 60 * day}
    rotated = [listed(key, **leaving) for key in EE[:2]] + [
        listed(key, not_before=NOW - 10 * day) for key in EE_NEW[:2]
    ]
    yield accepted(
        "new-keys-after-rotation",
        "Signed with the sender's new keys while the old ones are still accepted.",
        members=with_sender(*rotated),
        signers=EE_NEW[:2],
    )
    yield accepted(
        "old-keys-after-rotation",
        "Signed with keys past sign_until and before accept_until: sealed before, received now.",
        members=with_sender(*rotated),
    )
    mixed = [listed(EE[0]), listed(EE_NEW[1])]
    yield accepted(
        "one-key-rotated", "Only the ML-DSA key is new.", members=with_sender(*mixed), signers=(EE[0], EE_NEW[1])
    )
    both = {**MEMBERS, "FI": member(listed(FI[2], **leaving), listed(FI_NEW[2]))}
    yield accepted(
        "previous-encryption-key",
        "Sealed to the recipient's previous encryption key, which it still holds beside the new one.",
        members=both,
        holds=(FI_NEW[2], FI[2]),
    )
    starting = [listed(key, not_before=NOW) for key in EE[:2]]
    yield accepted("key-valid-from-now", "The keys' first moment is now.", members=with_sender(*starting))
    ending = [listed(key, sign_until=NOW - day, accept_until=NOW + timedelta(milliseconds=1)) for key in EE[:2]]
    yield accepted(
        "key-accepted-until-next-moment", "One millisecond before accept_until.", members=with_sender(*ending)
    )
    later = [listed(key, revoked_at=NOW + timedelta(milliseconds=1)) for key in EE[:2]]
    yield accepted(
        "key-revoked-from-next-moment", "The revocation takes effect a millisecond later.", members=with_sender(*later)
    )
    claimed = {"AA": member(listed(EE[0]), listed(EE[1])), **MEMBERS}
    yield accepted(
        "keys-claimed-by-another-member", "Another member lists the sender's keys as its own.", members=claimed
    )


def _times() -> Iterator[Case]:
    second = int(NOW.timestamp())
    yield accepted("expires-next-second", "One second before the expiry.", profile={"exp": second + 1})
    longest = second + 60 * 86_400 + 600
    yield accepted("longest-life", "Expires in 60 days and ten minutes.", profile={"exp": longest})
    ahead = message(BODY, created=text(NOW + timedelta(minutes=10)))
    yield accepted("clock-ten-minutes-ahead", "Made ten minutes in the recipient's future.", ahead)
    receipts = message({"receipts": [_receipt(0)]}, type="node.receipts", **BARE)
    comment = "Receipts in an envelope that has expired: they are evidence about something past, and taken at any age."
    yield accepted("receipts-expired", comment, receipts, profile={"exp": second - 86_400})
    ahead = message({"receipts": [_receipt(0)]}, type="node.receipts", **BARE, created=text(NOW + timedelta(days=1)))
    yield accepted("receipts-made-ahead", "Receipts by a clock that is a day ahead.", ahead)
    old = message(BODY, created=text(NOW - timedelta(days=400)), nonce=NONCE, id=MESSAGE_ID)
    yield accepted("message-older-than-envelope", "The same message sealed anew after more than a year.", old)
    number = message(BODY, created=int((NOW + timedelta(days=1)).timestamp()))
    yield accepted("created-a-number", "A time of creation that is no text is left to the header's schema.", number)
    thirtieth = message(BODY, created="2027-02-30T00:00:00.000Z")
    yield accepted("created-on-no-day", "So is one of a day that no calendar has.", thirtieth)
    midnight = message(BODY, created=f"{NOW:%Y-%m-%d}T24:00:00.000Z")
    yield accepted(
        "created-at-hour-24", "So is one of an hour 24, which some programs take for the next day's 00.", midnight
    )
