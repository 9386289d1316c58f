# SPDX-FileCopyrightText: The trm-broker authors
# SPDX-License-Identifier: Apache-2.0
"""Envelopes that open, with one fault in what was inside."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Any

from cases import (
    BODY,
    EE,
    EE_NEW,
    EVERYONE,
    FI,
    HEADER,
    MEMBERS,
    NOW,
    SE,
    TRM,
    Case,
    flip,
    listed,
    message,
    plus,
    refused,
    text,
    with_sender,
    without,
)
from forge import b64, dump, right_with_cofactor, unreduced

SECOND = int(NOW.timestamp())
DAY = timedelta(days=1)


def cases() -> Iterator[Case]:
    """Yield them in the order of the layers."""
    yield from _jws_form()
    yield from _jws_header()
    yield from _jws_profile()
    yield from _sender()
    yield from _signature()
    yield from _content()
    yield from _match()
    yield from _expiry()


def _shape(name: str, comment: str, **options: Any) -> Case:
    return refused("jws", "signature-shape", f"jws-{name}", comment, **options)


def _jws_form() -> Iterator[Case]:
    def bytes_case(name: str, comment: str, step: Callable[[bytes], bytes]) -> Case:
        return refused("jws", "not-canonical", f"jws-{name}", comment, jws_bytes=step)

    yield bytes_case("white-space", "A space in the signed object.", lambda raw: raw.replace(b":", b": ", 1))
    yield bytes_case("leading-space", "A space before the signed object.", lambda raw: b" " + raw)
    yield bytes_case("duplicate-payload", "The payload is there twice.", lambda raw: b'{"payload":"e30",' + raw[1:])
    yield bytes_case("unsorted-members", "Signatures before the payload.", _signatures_first)
    yield bytes_case("two-objects", "Another object behind the signed one.", lambda raw: raw + b"{}")
    yield bytes_case("broken", "A colon is missing.", lambda raw: raw.replace(b":", b"", 1))

    def case(name: str, comment: str, jws: Callable[[dict[str, Any]], Any]) -> Case:
        return _shape(name, comment, jws=jws)

    yield case("no-payload", "Without payload.", without("payload"))
    yield case("empty-payload", "An empty payload.", plus(payload=""))
    yield case(
        "payload-padded", "The payload in base64url with padding.", lambda jws: {**jws, "payload": jws["payload"] + "="}
    )
    yield case("payload-object", "The payload is an object.", plus(payload={}))
    yield case("no-signatures", "Without signatures.", without("signatures"))
    yield case("zero-signatures", "An empty list of signatures.", plus(signatures=[]))
    yield case(
        "only-ed25519", "Without the ML-DSA-65 signature.", lambda jws: {**jws, "signatures": jws["signatures"][:1]}
    )
    yield case(
        "only-ml-dsa", "Without the Ed25519 signature.", lambda jws: {**jws, "signatures": jws["signatures"][1:]}
    )
    yield case("three-signatures", "The second signature is there twice.",
               lambda jws: {**jws, "signatures": [*jws["signatures"], jws["signatures"][1]]})  # fmt: skip
    yield case(
        "signatures-swapped", "ML-DSA-65 before Ed25519.", lambda jws: {**jws, "signatures": jws["signatures"][::-1]}
    )
    yield case(
        "ed25519-twice", "Two Ed25519 signatures.", lambda jws: {**jws, "signatures": [jws["signatures"][0]] * 2}
    )
    yield case("flattened", "The flattened serialisation.",
               lambda jws: {"payload": jws["payload"], **jws["signatures"][0]})  # fmt: skip
    yield case("extra-member", "A further member.", plus(aad="AA"))
    yield case(
        "unprotected-header", "A signature with an unprotected header.", lambda jws: _in_signature(jws, 0, header={})
    )
    yield case("signature-number", "A signature is a number.", lambda jws: _in_signature(jws, 0, signature=1))
    yield case(
        "signature-empty", "The ML-DSA-65 signature is an empty text.", lambda jws: _in_signature(jws, 1, signature="")
    )
    yield case(
        "signature-no-object", "A signature is a text.", lambda jws: {**jws, "signatures": [jws["signatures"][0], "x"]}
    )
    yield _shape(
        "ed25519-short", "The Ed25519 signature lacks a byte.", signature=lambda i, raw: raw[:-1] if i == 0 else raw
    )
    yield _shape(
        "ml-dsa-short", "The ML-DSA-65 signature lacks a byte.", signature=lambda i, raw: raw[:-1] if i == 1 else raw
    )
    yield _shape("ml-dsa-long", "A byte after the ML-DSA-65 signature.", signature=lambda i, raw: raw + b"\0" * i)


def _signatures_first(raw: bytes) -> bytes:
    return json.dumps(dict(reversed(json.loads(raw).items())), separators=(",", ":")).encode()


def _in_signature(jws: dict[str, Any], index: int, **members: Any) -> dict[str, Any]:
    signatures = list(jws["signatures"])
    signatures[index] = {**signatures[index], **members}
    return {**jws, "signatures": signatures}


def _jws_header() -> Iterator[Case]:
    def case(name: str, comment: str, step: Callable[[dict[str, Any]], Any], at: int = 0) -> Case:
        return _shape(name, comment, jws_header=lambda index, header: step(header) if index == at else header)

    yield refused("jws", "not-canonical", "jws-header-white-space", "A space in a signature's header.",
                  jws_header_bytes=lambda i, raw: raw.replace(b":", b": ", 1) if i else raw)  # fmt: skip
    yield refused("jws", "not-canonical", "jws-header-duplicate", "The algorithm is there twice in a signature's header.",
                  jws_header_bytes=lambda i, raw: raw if i else b'{"alg":"none",' + raw[1:])  # fmt: skip
    yield refused("jws", "not-canonical", "jws-header-before-signature",
                  "A space in the first header, beside a signature that is no base64url: the header comes first.",
                  jws_header_bytes=lambda i, raw: raw if i else raw.replace(b":", b": ", 1),
                  jws=lambda jws: _in_signature(jws, 0, signature="="))  # fmt: skip
    yield refused("jws", "not-canonical", "jws-header-before-second",
                  "A space in the first header, and the second signature is no object: the first comes first.",
                  jws_header_bytes=lambda i, raw: raw if i else raw.replace(b":", b": ", 1),
                  jws=lambda jws: {**jws, "signatures": [jws["signatures"][0], 1]})  # fmt: skip
    for name in ("alg", "crit", "kid", "trm", "typ"):
        yield case(f"header-no-{name}", f"A signature's header without {name}.", without(name))
    yield case("header-array", "A signature's header is an array.", lambda header: [header], 1)
    yield case("algorithm-none", "The algorithm none.", plus(alg="none"))
    yield case("algorithm-eddsa", "EdDSA, the name before RFC 9864.", plus(alg="EdDSA"))
    yield case("algorithm-ml-dsa-44", "ML-DSA-44.", plus(alg="ML-DSA-44"), 1)
    yield case("unencoded-payload", "b64 false (RFC 7797).", plus(b64=False, crit=["b64", "trm"]))
    yield case("unknown-crit", "A further critical member.", plus(crit=["trm", "exp"]), 1)
    yield case("key-in-header", "The public key in the header.", plus(jwk=EE[0].jwk))
    yield case("header-type", "The type of the encryption.", plus(typ="trm+jwe"), 1)
    yield case("header-kid-null", "The key id is null.", plus(kid=None), 1)
    yield case("header-kid-short", "The key id lacks a character.", lambda header: {**header, "kid": header["kid"][1:]})


def _jws_profile() -> Iterator[Case]:
    def case(name: str, comment: str, **options: Any) -> Case:
        return refused("jws", "header-mismatch", f"profile-differs-{name}", comment, **options)

    def both(**members: Any) -> dict[str, Any]:
        return {"jws_trm": lambda trm: {**trm, **members}}

    def one(index: int, **members: Any) -> dict[str, Any]:
        return {
            "jws_header": lambda i, header: {**header, "trm": {**header["trm"], **members}} if i == index else header
        }

    yield case("exercise", "Signed as an exercise, sealed as real.", **both(exercise=True))
    yield case("exercise-as-number", "Signed with 0 for false.", **both(exercise=0))
    yield case("expiry", "Signed for a shorter time.", **both(exp=TRM["exp"] - 1))
    yield case(
        "sender",
        "Signed by Estonia as Estonia, sealed as from Sweden.",
        profile={"from": "SE"},
        **both(**{"from": "EE"}),
    )
    yield case(
        "re-encrypted-by-third-party", "Estonia signed it for Sweden, which sealed it anew to Finland.", **both(to="SE")
    )
    yield case("id", "Signed for another id.", **both(id="019aa9c1-7c00-7abc-8def-0123456789ff"))
    yield case("version", "Signed as version 2.", **both(v=2))
    yield case("extra-member", "Signed with a further member.", **both(note="x"))
    yield case("null", "Signed with null for the profile.", jws_trm=lambda _trm: None)
    yield case("in-ed25519-only", "Only the Ed25519 header has another expiry.", **one(0, exp=TRM["exp"] + 1))
    yield case("in-ml-dsa-only", "Only the ML-DSA-65 header has another expiry.", **one(1, exp=TRM["exp"] + 1))


def _sender() -> Iterator[Case]:
    def case(code: str, name: str, comment: str, **options: Any) -> Case:
        return refused("sender", code, f"sender-{name}", comment, **options)

    nobody = {country: item for country, item in MEMBERS.items() if country != "EE"}
    yield case("unknown-sender", "unknown", "Estonia is not in the list.", members=nobody)
    yield case("sender-suspended", "suspended", "Estonia is suspended.",
               members=with_sender(*map(listed, EE[:2]), status="SUSPENDED"))  # fmt: skip
    yield case("unknown-key", "ed25519-key-unknown", "An Ed25519 key that nobody has.", signers=(EE_NEW[0], EE[1]))
    yield case("unknown-key", "ed25519-key-with-spare-bits", "A key id whose last character no digest gives.",
               jws_header=lambda i, header: header if i else {**header, "kid": "A" * 42 + "B"})  # fmt: skip
    yield case("unknown-key", "ml-dsa-key-unknown", "An ML-DSA-65 key that nobody has.", signers=(EE[0], EE_NEW[1]))
    yield from _keys_of_others()
    for index, name in enumerate(("ed25519", "ml-dsa")):
        yield from _times_of_key(index, name)


def _keys_of_others() -> Iterator[Case]:
    def case(name: str, comment: str, **options: Any) -> Case:
        return refused("sender", "wrong-member-key", f"sender-{name}", comment, members=EVERYONE, **options)

    yield case("ed25519-key-of-another", "The Ed25519 key is Sweden's.", signers=(SE[0], EE[1]))
    yield case("ml-dsa-key-of-another", "The ML-DSA-65 key is Sweden's.", signers=(EE[0], SE[1]))
    yield case("both-keys-of-another", "Sweden signed as Estonia.", signers=SE[:2])
    yield case("key-of-the-recipient", "The Ed25519 key is the recipient's own.", signers=(FI[0], EE[1]))
    yield case("ed25519-names-encryption-key", "The Ed25519 header names the encryption key.",
               jws_header=lambda i, header: header if i else {**header, "kid": EE[2].kid})  # fmt: skip
    yield case("ml-dsa-names-ed25519-key", "The ML-DSA-65 header names the Ed25519 key.",
               jws_header=lambda i, header: {**header, "kid": EE[0].kid} if i else header)  # fmt: skip


def _times_of_key(index: int, name: str) -> Iterator[Case]:
    def case(code: str, words: str, comment: str, **times: Any) -> Case:
        keys = [listed(key, **times) if i == index else listed(key) for i, key in enumerate(EE[:2])]
        return refused("sender", code, f"sender-{name}-key-{words}", comment, members=with_sender(*keys))

    tick = timedelta(milliseconds=1)
    yield case("key-not-yet-valid", "not-yet-valid", "Valid from the next millisecond.", not_before=NOW + tick)
    yield case("key-expired", "expired", "Past accept_until.", sign_until=NOW - 70 * DAY, accept_until=NOW - DAY)
    yield case("key-expired", "expires-now", "accept_until is now.", sign_until=NOW - 70 * DAY, accept_until=NOW)
    yield case("key-revoked", "revoked", "Revoked yesterday.", revoked_at=NOW - DAY)
    yield case("key-revoked", "revoked-now", "The revocation takes effect now.", revoked_at=NOW)


def _signature() -> Iterator[Case]:
    def case(name: str, comment: str, **options: Any) -> Case:
        return refused("signature", "bad-signature", f"signature-{name}", comment, **options)

    other = b64(dump(message({"note": "another message"})))
    for index, name in enumerate(("ed25519", "ml-dsa")):
        length = (64, 3309)[index]
        yield case(f"{name}-changed", "A bit of the signature is changed.",
                   signature=lambda i, raw, at=index: flip(raw, 8) if i == at else raw)  # fmt: skip
        yield case(f"{name}-zeros", "The signature is all zero.",
                   signature=lambda i, raw, at=index, size=length: bytes(size) if i == at else raw)  # fmt: skip
        yield case(f"{name}-over-another-payload", "The signature is over another payload.",
                   signing_input=lambda i, head, payload, at=index: f"{head}.{other if i == at else payload}".encode())  # fmt: skip
        yield case(f"{name}-over-payload-only", "The signature leaves out its header.",
                   signing_input=lambda i, head, payload, at=index: (payload if i == at else f"{head}.{payload}").encode())  # fmt: skip
        yield case(f"{name}-by-another-member", "Sweden's signature under Estonia's key id.",
                   signers=tuple(SE[i] if i == index else EE[i] for i in range(2)),
                   jws_header=lambda i, header: {**header, "kid": EE[i].kid})  # fmt: skip
    yield case("over-decoded-content", "Both signatures are over the decoded content.",
               signing_input=lambda _i, _head, _payload: dump(message()))  # fmt: skip
    yield case("ml-dsa-with-context", "ML-DSA-65 with a context.", context=b"trm")
    yield case("ed25519-unreduced", "The order of the base point is added to S.",
               signature=lambda i, raw: raw if i else unreduced(raw))  # fmt: skip
    signed = list[bytes]()
    yield case("ed25519-with-cofactor", "The Ed25519 signature is right only where both sides are multiplied by the cofactor.",
               signing_input=lambda _i, head, payload: signed.append(f"{head}.{payload}".encode()) or signed[-1],
               signature=lambda i, raw: raw if i else right_with_cofactor(EE[0], signed[-1]))  # fmt: skip
    yield case("payload-changed", "The payload was changed after signing.", jws=plus(payload=other))
    yield case("headers-swapped", "The two signatures' key ids are right, their headers' bytes not those that were signed.",
               jws=lambda jws: _in_signature(jws, 0, protected=_with_kid(jws, EE[0].kid)),
               jws_header=lambda i, header: header if i else {**header, "kid": EE_NEW[0].kid})  # fmt: skip


def _with_kid(jws: dict[str, Any], kid: str) -> str:
    header = {"alg": "Ed25519", "crit": ["trm"], "kid": kid, "trm": TRM, "typ": "trm+jws"}
    return b64(dump(header)) if jws else ""


def _content() -> Iterator[Case]:
    good = dump(message())

    def canonical(name: str, comment: str, content: bytes) -> Case:
        return refused("content", "not-canonical", f"content-{name}", comment, content=content)

    def shape(name: str, comment: str, content: Any) -> Case:
        return refused("content", "content-shape", f"content-{name}", comment, content=dump(content))

    def body(raw: bytes) -> bytes:
        return b'{"body":{"a":' + raw + b'},"header":' + dump(HEADER) + b"}"

    yield canonical("not-json", "Text that is not JSON.", b"hello")
    yield canonical("white-space", "A space after a colon.", good.replace(b":", b": ", 1))
    yield canonical("trailing-newline", "A newline after the content.", good + b"\n")
    yield canonical(
        "unsorted-members", "Header before body.", b'{"header":' + dump(HEADER) + b',"body":' + dump(BODY) + b"}"
    )
    yield canonical("duplicate-header", "The header is there twice.", good[:-1] + b',"header":' + dump(HEADER) + b"}")
    yield canonical(
        "needless-escape", "A letter of a name written as an escape.", good.replace("ä".encode(), b"\\u00e4")
    )
    yield canonical("invalid-utf-8", "A byte that is not UTF-8.", body(b'"\xe4"'))
    yield canonical("lone-surrogate", "Half of a surrogate pair.", body(b'"\\udc00"'))
    yield canonical("non-ascii-name", "A member name outside ASCII.", body('{"ä":1}'.encode()))
    yield canonical("huge-number", "The integer 2^53.", body(b"9007199254740992"))
    yield canonical("fraction", "An amount as a fraction.", body(b"12.5"))
    yield canonical("exponent", "A number with an exponent.", body(b"1e3"))
    yield canonical("nesting-25", "Containers 25 deep.", body(b"[" * 23 + b"]" * 23))
    yield canonical("nesting-2000", "Containers 2,000 deep.", body(b"[" * 2_000 + b"]" * 2_000))
    yield shape("array", "An array of the content.", [message()])
    yield shape("no-body", "Without body.", {"header": HEADER})
    yield shape("no-header", "Without header.", {"body": BODY})
    yield shape("extra-member", "A further member.", {**message(), "attachments": []})
    yield shape("header-text", "The header is a text.", {"header": "x", "body": BODY})
    yield shape("body-array", "The body is an array.", {"header": HEADER, "body": []})
    yield shape("body-null", "The body is null.", {"header": HEADER, "body": None})


def _match() -> Iterator[Case]:
    def case(name: str, comment: str, **header: Any) -> Case:
        content = dump(message(**header))
        return refused("match", "header-mismatch", f"match-{name}", comment, content=content)

    party = {"country": "SE", "authority": "central-authority"}
    yield case("id", "The content has another id.", id="019aa9c1-7c00-7abc-8def-0123456789ff")
    yield case("sender", "The content says Sweden as sender.", sender=party)
    yield case("recipient", "The content is for Sweden: signed for the envelope of another.", recipient=party)
    yield case("exercise", "The content is an exercise, the envelope is not.", exercise=True)
    yield case("exercise-number", "The content has 0 for false.", exercise=0)
    yield refused("match", "header-mismatch", "match-exercise-in-real-content", "The envelope is an exercise, the content is not.",
                  profile={"exercise": True})  # fmt: skip
    yield case("no-id", "The content has no id.", id=None)
    yield case("no-sender", "The content has no sender.", sender=None)
    yield case("no-exercise", "The content has no exercise mark.", exercise=None)
    yield case("sender-text", "The content's sender is a text.", sender="EE")


def _expiry() -> Iterator[Case]:
    def case(code: str, name: str, comment: str, **options: Any) -> Case:
        return refused("expiry", code, f"expiry-{name}", comment, **options)

    yield case("expired", "now", "Expires now.", profile={"exp": SECOND})
    yield case("expired", "past", "Expired a day ago.", profile={"exp": SECOND - 86_400})
    yield case("expired", "by-a-millisecond", "Expired a millisecond ago.", profile={"exp": SECOND},
               now=NOW + timedelta(milliseconds=1))  # fmt: skip
    yield case("expired", "in-1970", "Expired at the beginning of time.", profile={"exp": 0})
    yield case("expired", "of-a-type-like-a-nodes", "What begins like a type of a node's and is no type has a time like all others.",
               profile={"exp": SECOND}, content=dump(message(type="node.Receipts")))  # fmt: skip
    yield case("expiry-too-far", "too-far", "A second more than 60 days and ten minutes.",
               profile={"exp": SECOND + 60 * 86_400 + 601})  # fmt: skip
    yield case("expiry-too-far", "never", "The largest number.", profile={"exp": 2**53 - 1})
    ahead = text(NOW + timedelta(minutes=10, milliseconds=1))
    yield case("clock-ahead", "clock-ahead", "Made ten minutes and a millisecond in the recipient's future.",
               content=dump(message(created=ahead)))  # fmt: skip
