# SPDX-FileCopyrightText: The trm-broker authors
# SPDX-License-Identifier: Apache-2.0
"""The vectors of sealed parts: ``python tests/vectors/sealed_cases.py FOLDER`` writes a fresh set.

Stored vectors never change. A new case is generated into a folder of its own and only its file is added to the stored ones.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from forge import dump, encapsulate
from sealed_forge import DESK, OLD_DESK, OTHER_DESK, WHEREABOUTS, Case, Part

OFFICE = {"country": "EE", "kind": "CP_SERVICE", "name": "Test-Office"}
SCRIPTS = "Maarja Õun · Līga Ķirse · Мария Ёлкина · Άννα · מרים · 美穂 · \U0001f33b"
ASSESSMENT: dict[str, Any] = {
    "answers": [
        {"area": area, "level": "NEEDS_HELP", "words": "\U0001f33b" * 2000}
        for area in (
            "EDUCATION_TRAINING",
            "MONEY",
            "PEOPLE_WHO_CARED",
            "SECURE_BASE",
            "HEALTH",
            "PEERS",
            "SELF_CONTROL",
        )
    ],
    "child_sends_it": {"on": "2026-11-01", "recorded_by": OFFICE},
    "helped_by": {"unknown": True},
    "language": "et",
    "on": "2026-11-01",
}


def good() -> Iterator[Case]:
    """Yield parts that open."""
    yield Case(name="one-part", comment="A shelter's address, in a message of an open procedure.", node="ok")
    scripts = {**WHEREABOUTS, "note": SCRIPTS}
    yield Case(name="scripts", comment="Names in seven scripts.", part=Part(inside=scripts), node="ok")
    opening = {"opens": True, "type": "danger-notice.alert"}
    yield Case(
        name="opening-and-empty", comment="In the message that opens its procedure; an empty list inside.",
        part=Part(inside={"excluded_persons": []}), place="/handling_sealed", message=opening, node="ok",
    )  # fmt: skip
    yield Case(
        name="long", comment="Seven answers of 2,000 characters of four bytes: 64 KiB of padded length.",
        part=Part(inside=ASSESSMENT), place="/self_assessment", message={"type": "best-interests.information"}, node="ok",
    )  # fmt: skip
    note = {**WHEREABOUTS, "note": "\u00f5" * 1000 + "x" * (1000)}
    yield Case(name="half-full", comment="A note of 2,000 characters.", part=Part(inside=note), node="ok")
    two = {"/handling_sealed": Part(inside={"note": "Test-Uncle must not know."})}
    yield Case(
        name="two-parts", comment="Two parts of one message, each with its own place.", place="/handling_sealed",
        part=two["/handling_sealed"], parts={"/child/health_sealed": Part(inside={})},
        body={"child": {}, "note": "About Test-Mari."}, message={"type": "danger-notice.alert", "opens": True}, node="ok",
    )  # fmt: skip
    yield Case(
        name="rotated-key", comment="Sealed to the older of two keys, which the office still has.",
        part=Part(key=OLD_DESK), held=(OLD_DESK, DESK), keys=(OLD_DESK, DESK), node="ok",
    )  # fmt: skip
    yield Case(
        name="last-day-of-acceptance", comment="The key is sealed to no more, and accepted still.", node="ok",
        listed={"seal_until": "2026-09-24T00:00:00.000Z", "accept_until": "2026-11-23T03:00:00.000Z"},
    )  # fmt: skip
    yield Case(name="exercise", comment="In an exercise.", message={"exercise": True}, node="ok")


def _members() -> Iterator[Case]:
    outer = {
        "clear": ("In clear, where a sealed part is wanted.", Part(outer=lambda _: WHEREABOUTS)),
        "text": ("A text.", Part(outer=lambda part: dump(part).decode())),
        "no-kid": ("Without kid.", Part(outer=lambda part: {"jwe": part["jwe"]})),
        "further-member": ("One member more.", Part(outer=lambda part: {**part, "to": "FI"})),
        "jwe-text": ("The encryption as a text.", Part(outer=lambda part: {**part, "jwe": dump(part["jwe"]).decode()})),
        "no-tag": ("Without tag.", Part(jwe=lambda jwe: {name: jwe[name] for name in jwe if name != "tag"})),
        "aad-member": ("With the member aad.", Part(jwe=lambda jwe: {**jwe, "aad": "AA"})),
        "empty-ciphertext": ("An empty ciphertext.", Part(jwe=lambda jwe: {**jwe, "ciphertext": ""})),
        "padded-base64": ("Base64 with its padding.", Part(jwe=lambda jwe: {**jwe, "iv": jwe["iv"] + "="})),
    }
    for name, (comment, part) in outer.items():
        yield Case(
            name=name, comment=comment, part=part, expect="envelope-members", layer="members", node="schema-invalid"
        )
    spare = Part(jwe=lambda jwe: {**jwe, "tag": jwe["tag"][:-1] + ("B" if jwe["tag"][-1] in "AQgw" else "x")})
    yield Case(
        name="spare-bits", comment="Bits after the last byte of base64url.", part=spare, expect="envelope-members",
        layer="members",
    )  # fmt: skip


def _headers() -> Iterator[Case]:
    twice = Part(header_bytes=lambda raw: raw.replace(b'"alg"', b'"alg":"HPKE-9-KE","alg"', 1))
    not_canonical = {
        "header-with-space": ("A space in the header.", Part(header_bytes=lambda raw: raw.replace(b":", b": ", 1))),
        "header-name-twice": ("A name twice in the header.", twice),
    }
    for name, (comment, part) in not_canonical.items():
        yield Case(name=name, comment=comment, part=part, expect="not-canonical", layer="header")
    shapes: Mapping[str, tuple[str, dict[str, Any]]] = {
        "another-alg": ("Another key encryption.", {"alg": "HPKE-0"}),
        "another-enc": ("Another content encryption.", {"enc": "A128GCM"}),
        "zip": ("Compressed.", {"zip": "DEF"}),
        "envelope-type": ("It says that it is an envelope.", {"typ": "trm+jwe"}),
        "file-type": ("It says that it is a file.", {"typ": "trm+file"}),
        "empty-crit": ("Nothing is critical.", {"crit": []}),
        "trm-text": ("The profile is a text.", {"trm": "x"}),
        "ek-number": ("The encapsulated key is a number.", {"ek": 1}),
        "short-kid": ("A kid of 42 characters.", {"kid": "A" * 42}),
    }
    for name, (comment, change) in shapes.items():
        part = Part(header=lambda header, change=change: {**header, **change})
        yield Case(name=name, comment=comment, part=part, expect="envelope-header", layer="header")
    part = Part(outer=lambda part: {**part, "kid": OTHER_DESK.kid})
    yield Case(
        name="kid-differs", comment="Another kid outside than inside.", part=part, expect="header-mismatch", layer="kid"
    )


def _lengths() -> Iterator[Case]:
    cases = {
        "short-iv": ("An iv of 11 bytes.", lambda fields: {**fields, "iv": fields["iv"][:11]}),
        "long-tag": ("A tag of 17 bytes.", lambda fields: {**fields, "tag": fields["tag"] + b"\x00"}),
        "short-encrypted-key": ("47 bytes.", lambda fields: {**fields, "encrypted_key": fields["encrypted_key"][:47]}),
        "odd-ciphertext": ("4,095 bytes.", lambda fields: {**fields, "ciphertext": fields["ciphertext"][:-1]}),
    }
    for name, (comment, change) in cases.items():
        yield Case(name=name, comment=comment, part=Part(fields=change), expect="field-length", layer="lengths")
    short = Part(encapsulate=lambda key, to: (encapsulate(key, to)[0][:-1], encapsulate(key, to)[1]))
    yield Case(name="short-ek", comment="1,119 bytes.", part=short, expect="field-length", layer="lengths")
    yield Case(
        name="oversize", comment="Larger than any part.", ciphertext_pad=500_000, expect="field-length", layer="lengths",
        node="schema-invalid",
    )  # fmt: skip


def _places() -> Iterator[Case]:
    moved: Mapping[str, tuple[str, dict[str, Any]]] = {
        "another-sending-office": (
            "Sealed by another office of the country.",
            {"sender": {"authority": "court", "country": "EE"}},
        ),
        "another-sending-country": ("Sealed in another country.", {"sender": {"authority": "board", "country": "SE"}}),
        "another-receiving-office": (
            "Sealed for another office.",
            {"recipient": {"authority": "court", "country": "FI"}},
        ),
        "another-receiving-country": (
            "Sealed for another country.",
            {"recipient": {"authority": "tracing", "country": "SE"}},
        ),
        "another-type": ("Sealed for another message type.", {"type": "transfer.arrival"}),
        "another-version": ("Sealed for another version.", {"version": "1.1"}),
        "from-an-exercise": ("Sealed in an exercise.", {"exercise": True}),
        "another-procedure": ("Sealed for another procedure.", {"procedure": "019aa9c1-7c00-7abc-8def-0123456789ac"}),
    }
    for name, (comment, sealed_for) in moved.items():
        yield Case(name=name, comment=comment, sealed_for=sealed_for, expect="header-mismatch", layer="place")
    yield Case(
        name="named-procedure-in-an-opening", comment="It names a procedure, and the message opens one.",
        sealed_for={"opens": False}, message={"opens": True}, expect="ok", node="sealed-part-refused",
    )  # fmt: skip
    yield Case(
        name="opening-in-an-open-procedure", comment="Sealed for an opening; its node alone can tell.",
        sealed_for={"opens": True}, expect="ok", node="sealed-part-refused",
    )  # fmt: skip
    yield Case(
        name="another-person", comment="One word around the part is another.", expect="header-mismatch", layer="place",
        found_body=lambda body: {**body, "note": "About Test-Juhan."},
    )  # fmt: skip
    yield Case(
        name="another-place", comment="Moved to another member of the body.", expect="header-mismatch", layer="place",
        part=Part(trm=lambda trm: {**trm, "place": "/handling_sealed"}),
    )  # fmt: skip
    yield Case(
        name="part-added", comment="A second part, put in afterwards.", expect="header-mismatch", layer="place",
        found_body=lambda body: {**body, "handling_sealed": body["whereabouts"]},
    )  # fmt: skip
    profiles: Mapping[str, tuple[str, dict[str, Any]]] = {
        "version-2": ("Version 2 of the profile.", {"v": 2}),
        "version-true": ("True where 1 is meant.", {"v": True}),
        "profile-member": ("A member more in the profile.", {"id": "019aa9c1-7c00-7abc-8def-0123456789ac"}),
    }
    for name, (comment, change) in profiles.items():
        part = Part(trm=lambda trm, change=change: {**trm, **change})
        yield Case(name=name, comment=comment, part=part, expect="header-mismatch", layer="place")


def _keys() -> Iterator[Case]:
    yield Case(
        name="unlisted-key",
        comment="The list does not name the key; the office holds it all the same.",
        keys=(OLD_DESK,),
    )
    yield Case(
        name="another-offices-key", comment="Sealed to another office's key.", part=Part(key=OTHER_DESK),
        expect="unknown-recipient-key", layer="held",
    )  # fmt: skip
    yield Case(
        name="revoked-key", comment="The key is revoked.", node="authority-key-ended",
        listed={"revoked_at": "2026-11-22T03:00:00.000Z"},
    )  # fmt: skip
    yield Case(
        name="expired-key", comment="The key is accepted no more.", node="authority-key-ended",
        listed={"seal_until": "2026-09-01T00:00:00.000Z", "accept_until": "2026-11-22T03:00:00.000Z"},
    )  # fmt: skip
    yield Case(
        name="destroyed-key", comment="The office has lost the key.", held=(OTHER_DESK,), expect="unknown-recipient-key",
        layer="held", node="ok",
    )  # fmt: skip


def _inside() -> Iterator[Case]:
    def turned(name: str) -> Part:
        return Part(fields=lambda fields: {**fields, name: bytes([fields[name][0] ^ 1]) + fields[name][1:]})

    decrypt = {
        "changed-ciphertext": ("One bit of the ciphertext.", turned("ciphertext")),
        "changed-tag": ("One bit of the tag.", turned("tag")),
        "changed-iv": ("One bit of the iv.", turned("iv")),
        "changed-encrypted-key": ("One bit of the encrypted key.", turned("encrypted_key")),
        "another-key-named": ("Encrypted to another key than the one it names.", Part(
            encapsulate=lambda key, _: encapsulate(key, OTHER_DESK)
        )),
        "header-not-bound": ("The header is not in the AAD.", Part(aad=lambda _: b"")),
        "short-content-key": ("A content key of 16 bytes, in a longer encrypted key.", Part(
            encapsulate=lambda key, to: encapsulate(key[:31] + bytes([key[31] ^ 1]), to)
        )),
    }  # fmt: skip
    for name, (comment, part) in decrypt.items():
        yield Case(name=name, comment=comment, part=part, expect="decrypt-failed", layer="decrypt", node="ok")
    padding = {
        "padding-zeros": ("Zeros where spaces are wanted.", Part(padding=lambda plain: plain.ljust(4096, b"\x00"))),
        "padding-too-long": ("8 KiB where 4 are enough.", Part(padding=lambda plain: plain.ljust(8192))),
        "list": ("A list inside.", Part(inside=[1])),
    }
    for name, (comment, part) in padding.items():
        yield Case(name=name, comment=comment, part=part, expect="padding", layer="padding", node="ok")
    canonical = {
        "inside-name-twice": (
            "A name twice inside.",
            Part(plain=lambda raw: raw.replace(b"{", b'{"may_be_told":[],', 1)),
        ),
        "inside-with-space": ("White space inside.", Part(plain=lambda raw: raw.replace(b":", b": ", 1))),
        "inside-fraction": ("A fraction inside.", Part(plain=lambda _: b'{"a":1.5}')),
        "inside-surrogate": ("Half a character inside.", Part(plain=lambda _: b'{"a":"\\ud800"}')),
    }
    for name, (comment, part) in canonical.items():
        yield Case(name=name, comment=comment, part=part, expect="not-canonical", layer="inside", node="ok")
    without = {name: value for name, value in WHEREABOUTS.items() if name != "place"}
    schema = {
        "lacks-a-member": ("What is required inside is missing.", without),
        "unknown-member": ("A member inside that the schema does not have.", {**WHEREABOUTS, "more": 1}),
        "inside-of-another-part": ("A health summary where whereabouts are wanted.", {"urgent": {"unknown": True}}),
    }
    for name, (comment, inside) in schema.items():
        yield Case(
            name=name, comment=comment, part=Part(inside=inside), expect="schema-invalid", layer="schema", node="ok"
        )


def cases() -> Iterator[Case]:
    """Yield every case."""
    for source in (good, _members, _headers, _lengths, _places, _keys, _inside):
        yield from source()


def main(folder: Path) -> None:
    """Write one file for each case."""
    folder.mkdir(parents=True, exist_ok=True)
    for case in cases():
        file = folder / f"{case.name}.json"
        if file.exists():
            raise SystemExit(f"{file.name} exists already; stored vectors never change")
        file.write_bytes(case.document())


if __name__ == "__main__":
    main(Path(sys.argv[1]))
