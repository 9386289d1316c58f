# SPDX-FileCopyrightText: The trm-broker authors
# SPDX-License-Identifier: Apache-2.0
"""Envelopes with one fault that shows before or while they are opened."""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Callable, Iterator
from typing import Any

from cases import FI, FI_NEW, SE, TRM, Case, flip, forge, plus, refused, without
from cryptography.hazmat.primitives.asymmetric.mlkem import MLKEM768PublicKey
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hpke import AEAD, KDF, KEM, Suite
from forge import INFO, Key, b64, pad

MAX_ENVELOPE = 1_441_792  # bytes


def cases() -> Iterator[Case]:
    """Yield them in the order of the layers."""
    yield from _size()
    yield from _outer()
    yield from _members()
    yield from _header()
    yield from _profile()
    yield from _recipient()
    yield from _lengths()
    yield from _decrypt()
    yield from _padding()


def _size() -> Iterator[Case]:
    def case(name: str, comment: str, **options: Any) -> Case:
        return refused("size", "too-large", name, comment, **options)

    size = len(forge().build())
    yield case("size-one-byte-over", "One byte more than the largest envelope.", pad=(" ", MAX_ENVELOPE + 1 - size))
    yield case("size-twice", "Twice the largest envelope.", pad=(" ", 2 * MAX_ENVELOPE))
    yield refused(
        "outer", "not-canonical", "size-largest-with-trailing-spaces",
        "As long as the largest envelope, by spaces after it: the size passes, the form does not.",
        pad=(" ", MAX_ENVELOPE - size),
    )  # fmt: skip


def _insert(text: bytes) -> Callable[[bytes], bytes]:
    """Return a step that writes a further first member into the outer object."""
    return lambda raw: b"{" + text + b"," + raw[1:]


def _outer() -> Iterator[Case]:
    def case(name: str, comment: str, raw: Callable[[bytes], bytes]) -> Case:
        return refused("outer", "not-canonical", f"outer-{name}", comment, raw=raw)

    yield case("empty", "No byte at all.", lambda _raw: b"")
    yield case("not-json", "Text that is not JSON.", lambda _raw: b"hello")
    yield case(
        "compact-serialisation", "Five parts joined by dots.", lambda raw: ".".join(json.loads(raw).values()).encode()
    )
    yield case("truncated", "The last byte is missing.", lambda raw: raw[:-1])
    yield case("truncated-half", "The second half is missing.", lambda raw: raw[: len(raw) // 2])
    yield case("trailing-newline", "A newline after the object.", lambda raw: raw + b"\n")
    yield case("trailing-bytes", "A second object after the first.", lambda raw: raw + b"{}")
    yield case("trailing-zero", "A zero byte after the object.", lambda raw: raw + b"\0")
    yield case("leading-space", "A space before the object.", lambda raw: b" " + raw)
    yield case("byte-order-mark", "A byte order mark before the object.", lambda raw: b"\xef\xbb\xbf" + raw)
    yield case("white-space", "A space after a colon.", lambda raw: raw.replace(b":", b": ", 1))
    yield case("unsorted-members", "Members in reverse order.", lambda raw: _reversed(raw))
    yield case(
        "duplicate-member",
        "The tag is there twice, the same.",
        lambda raw: raw[:-1] + b"," + raw[raw.index(b'"tag"') :],
    )
    yield case(
        "duplicate-member-differs",
        "The tag is there twice.",
        lambda raw: raw[:-1] + b',"tag":"AAAAAAAAAAAAAAAAAAAAAA"}',
    )
    yield case(
        "needless-escape", "A letter of a member name is escaped.", lambda raw: raw.replace(b'"iv"', b'"\\u0069v"')
    )
    yield case("invalid-utf-8", "A byte that is not UTF-8.", _insert(b'"a":"\xff"'))
    yield case("lone-surrogate", "Half of a surrogate pair.", _insert(b'"a":"\\ud800"'))
    yield case("non-ascii-name", "A member name outside ASCII.", _insert('"ä":"x"'.encode()))
    yield case("huge-number", "The integer 2^53.", _insert(b'"a":9007199254740992'))
    yield case("huger-number", "An integer of 400 digits.", _insert(b'"a":' + b"9" * 400))
    yield case("fraction", "A number with a fraction.", _insert(b'"a":1.5'))
    yield case("whole-fraction", "The number 1.0, which some languages cannot tell from 1.", _insert(b'"a":1.0'))
    yield case("exponent", "A number with an exponent.", _insert(b'"a":1e2'))
    yield case("negative-zero", "The number -0.", _insert(b'"a":-0'))
    yield case("not-a-number", "The word NaN.", _insert(b'"a":NaN'))
    yield case("nesting-25", "Containers 25 deep.", _insert(b'"a":' + b"[" * 24 + b"]" * 24))
    yield case("nesting-20000", "Containers 20,000 deep.", _insert(b'"a":' + b"[" * 20_000 + b"]" * 20_000))
    yield case("comment", "A comment in the object.", lambda raw: b"{/* */" + raw[1:])
    yield case("trailing-comma", "A comma after the last member.", lambda raw: raw[:-1] + b",}")


def _reversed(raw: bytes) -> bytes:
    return json.dumps(dict(reversed(json.loads(raw).items())), separators=(",", ":")).encode()


def _members() -> Iterator[Case]:
    def case(name: str, comment: str, members: Callable[[dict[str, Any]], Any]) -> Case:
        return refused("members", "envelope-members", f"members-{name}", comment, outer=members)

    yield case("array", "An array of the object.", lambda members: [members])
    yield case("text", "A text.", lambda _members: "trm")
    yield case("null", "The value null.", lambda _members: None)
    yield case("none", "An object without members.", lambda _members: {})
    for name in ("ciphertext", "encrypted_key", "iv", "protected", "tag"):
        yield case(f"no-{name.replace('_', '-')}", f"Without {name}.", without(name))
    yield case("aad", "A further member aad.", plus(aad="AA"))
    yield case("unprotected", "A shared unprotected header.", plus(unprotected={}))
    yield case("recipient-header", "A header of the recipient outside the protected one.", plus(header={}))
    yield case("extra-recipient", "A list of recipients, as in the general serialisation.", plus(recipients=[{}]))
    yield case("general-serialisation", "The general serialisation with one recipient.", _general)
    yield case("empty-iv", "The iv is an empty text.", plus(iv=""))
    yield case("empty-ciphertext", "The ciphertext is an empty text.", plus(ciphertext=""))
    yield case("tag-number", "The tag is a number.", plus(tag=1))
    yield case("protected-object", "The protected header is an object, not base64url.", plus(protected={}))
    yield case("padded-base64", "base64url with its padding.", lambda m: {**m, "tag": m["tag"] + "=="})
    yield case("standard-base64", "The alphabet of base64.", lambda m: {**m, "iv": "++++++++++++++++"})
    yield case(
        "base64-spare-bits", "Bits after the last byte are not zero.", lambda m: {**m, "tag": _spare_bits(m["tag"])}
    )
    yield case("base64-length", "A length that no bytes give.", lambda m: {**m, "iv": m["iv"] + "A"})
    yield case("base64-newline", "A newline within base64url.", lambda m: {**m, "iv": m["iv"][:8] + "\n" + m["iv"][8:]})


def _general(members: dict[str, Any]) -> dict[str, Any]:
    return {**without("encrypted_key")(members), "recipients": [{"encrypted_key": members["encrypted_key"]}]}


def _spare_bits(text: str) -> str:
    alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
    return text[:-1] + alphabet[alphabet.index(text[-1]) + 1]


def _header() -> Iterator[Case]:
    def case(name: str, comment: str, header: Callable[[dict[str, Any]], Any], code: str = "envelope-header") -> Case:
        return refused("header", code, f"header-{name}", comment, header=header)

    def bytes_case(name: str, comment: str, header_bytes: Callable[[bytes], bytes]) -> Case:
        return refused("header", "not-canonical", f"header-{name}", comment, header_bytes=header_bytes)

    yield bytes_case("not-json", "The protected header is not JSON.", lambda _raw: b"x")
    yield bytes_case("white-space", "A space in the protected header.", lambda raw: raw.replace(b":", b": ", 1))
    yield bytes_case("duplicate-member", "The algorithm is there twice.", lambda raw: b'{"alg":"none",' + raw[1:])
    yield bytes_case("unsorted-members", "The protected header's members in reverse order.", _reversed)
    yield bytes_case(
        "fractional-expiry", "The expiry is a fraction.", lambda raw: raw.replace(b',"from"', b'.0,"from"')
    )
    yield case("array", "The protected header is an array.", lambda header: [header])
    for name in ("alg", "crit", "ek", "enc", "kid", "typ"):
        yield case(f"no-{name}", f"Without {name}.", without(name))
    yield case("no-trm", "Without the profile.", without("trm"))
    yield case("zip", "With compression.", plus(zip="DEF"))
    yield case("cty", "With a member that version 1 does not have.", plus(cty="json"))
    yield case("unknown-crit", "A further critical member that nobody knows.", plus(crit=["trm", "exp"]))
    yield case("empty-crit", "Nothing is critical.", plus(crit=[]))
    yield case("crit-text", "The critical members are a text.", plus(crit="trm"))
    yield case("integrated-encryption", "HPKE-9, integrated encryption.", plus(alg="HPKE-9"))
    yield case("other-kem", "HPKE-8-KE, another KEM.", plus(alg="HPKE-8-KE"))
    yield case("other-algorithm", "ECDH-ES+A256KW.", plus(alg="ECDH-ES+A256KW"))
    yield case("direct-key", "dir: a key agreed before.", plus(alg="dir"))
    yield case("other-encryption", "A128GCM.", plus(enc="A128GCM"))
    yield case("other-type", "The type of the signatures.", plus(typ="trm+jws"))
    yield case("media-type", "The type with its application/ prefix.", plus(typ="application/trm+jwe"))
    yield case("kid-number", "The key id is a number.", plus(kid=1))
    yield case("kid-name", "The key id is not a thumbprint.", plus(kid="FI-2026"))
    yield case("ek-empty", "The encapsulated key is an empty text.", plus(ek=""))
    yield case("ek-padded", "The encapsulated key in base64url with padding.", lambda h: {**h, "ek": h["ek"] + "="})
    yield case("ek-object", "The encapsulated key is a JWK.", plus(ek={}))


def _profile() -> Iterator[Case]:
    def case(name: str, comment: str, code: str = "envelope-header", **members: Any) -> Case:
        return refused("header", code, f"profile-{name}", comment, profile=members)

    def change(name: str, comment: str, step: Callable[[dict[str, Any]], Any]) -> Case:
        return refused("header", "envelope-header", f"profile-{name}", comment, trm=step(dict(TRM)))

    unsupported = "unsupported-envelope-version"
    yield case("version-2", "Version 2.", unsupported, v=2)
    yield case("version-0", "Version 0.", unsupported, v=0)
    yield refused("header", unsupported, "profile-version-2-otherwise-shaped",
                  "Version 2 with another algorithm and a further member.",
                  profile={"v": 2}, header=plus(alg="HPKE-19-KE", extra=True))  # fmt: skip
    yield case("version-text", "The version is a text.", v="1")
    yield case("version-true", "The version is true, which some languages cannot tell from 1.", v=True)
    for name in ("exercise", "exp", "from", "id", "to", "v"):
        yield change(f"no-{name}", f"Without {name}.", without(name))
    yield change("extra-member", "A member that version 1 does not have.", plus(type="family-tracing.request"))
    yield change("array", "The profile is an array.", lambda trm: [trm])
    yield case("expiry-text", "The expiry is a text.", exp=str(TRM["exp"]))
    yield case("expiry-negative", "The expiry is before 1970.", exp=-1)
    yield case("exercise-number", "The exercise mark is 0, which some languages cannot tell from false.", exercise=0)
    yield case("sender-lower-case", "The sender's country in lower case.", **{"from": "ee"})
    yield case("sender-authority", "The sender is an authority.", **{"from": "EE/social-insurance-board"})
    yield case("recipient-greece-as-el", "EL instead of GR.", to="EL")
    yield case("recipient-kingdom-as-uk", "UK instead of GB.", to="UK")
    yield case("recipient-null", "The recipient is null.", to=None)
    yield case("id-version-4", "The id is a random UUID.", id="9b2f1c3e-7c00-4abc-8def-0123456789ab")
    yield case("id-upper-case", "The id in upper case.", id=TRM["id"].upper())
    yield case("id-urn", "The id as a URN.", id="urn:uuid:" + TRM["id"])


def _recipient() -> Iterator[Case]:
    yield refused("recipient", "not-for-us", "recipient-other-member", "Addressed and sealed to Sweden.",
                  profile={"to": "SE"}, recipient=SE[2])  # fmt: skip
    yield refused("recipient", "not-for-us", "recipient-swapped", "Addressed to Sweden, sealed to Finland's key.",
                  profile={"to": "SE"})  # fmt: skip
    yield refused("key", "unknown-recipient-key", "key-destroyed", "Sealed to a key that was destroyed.",
                  holds=(FI_NEW[2],))  # fmt: skip
    yield refused("key", "unknown-recipient-key", "key-of-another-member", "Addressed to Finland, sealed to Sweden's key.",
                  recipient=SE[2])  # fmt: skip
    yield refused("key", "unknown-recipient-key", "key-for-signatures", "Names the recipient's Ed25519 key.",
                  header=plus(kid=FI[0].kid))  # fmt: skip
    yield refused("recipient", "not-for-us", "recipient-unassigned", "Addressed to two letters that are no country's.",
                  profile={"to": "XX"})  # fmt: skip
    yield refused("key", "unknown-recipient-key", "key-with-spare-bits", "A key id whose last character no digest gives.",
                  header=plus(kid="A" * 42 + "B"))  # fmt: skip


def _lengths() -> Iterator[Case]:
    def case(name: str, comment: str, **options: Any) -> Case:
        return refused("lengths", "field-length", f"lengths-{name}", comment, **options)

    def cut(name: str, length: int) -> Callable[[dict[str, bytes]], dict[str, bytes]]:
        return lambda fields: {**fields, name: fields[name][:length]}

    yield case(
        "ek-short", "The encapsulated key lacks its last byte.", encapsulate=lambda key, to: _cut_ek(key, to, -1)
    )
    yield case("ek-long", "A byte more in the encapsulated key.", encapsulate=lambda key, to: _cut_ek(key, to, 1))
    yield case("ek-of-x25519", "The wrong KEM: an encapsulated key of X25519.", encapsulate=_x25519)
    yield case("encrypted-key-short", "The encrypted key lacks its last byte.", fields=cut("encrypted_key", -1))
    yield case(
        "encrypted-key-of-16-bytes", "A content key of 16 bytes.", encapsulate=lambda key, to: _seal(key[:16], to)
    )
    yield case("iv-short", "An iv of 11 bytes.", fields=cut("iv", 11))
    yield case("iv-long", "An iv of 16 bytes.", fields=lambda fields: {**fields, "iv": bytes(16)})
    yield case("tag-short", "A tag cut to 12 bytes.", fields=cut("tag", 12))
    yield case("tag-long", "A tag with a byte more.", fields=lambda fields: {**fields, "tag": fields["tag"] + b"\0"})


def _seal(
    content_key: bytes, recipient: Key, info: bytes = INFO, kdf: Any = KDF.SHAKE256, aead: Any = AEAD.AES_256_GCM
) -> Any:
    sealed = Suite(KEM.MLKEM768_X25519, kdf, aead).encrypt(content_key, recipient.private.public_key(), info)
    return sealed[:1120], sealed[1120:]


def _cut_ek(content_key: bytes, recipient: Key, change: int) -> tuple[bytes, bytes]:
    ek, encrypted_key = _seal(content_key, recipient)
    return (ek[:change] if change < 0 else ek + bytes(change)), encrypted_key


def _x25519(content_key: bytes, _recipient: Key) -> tuple[bytes, bytes]:
    from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey

    suite = Suite(KEM.X25519, KDF.SHAKE256, AEAD.AES_256_GCM)
    sealed = suite.encrypt(content_key, X25519PrivateKey.from_private_bytes(bytes(31) + b"\1").public_key(), INFO)
    return sealed[:32], sealed[32:]


def _decrypt() -> Iterator[Case]:
    def case(name: str, comment: str, **options: Any) -> Case:
        return refused("decrypt", "decrypt-failed", f"decrypt-{name}", comment, **options)

    def flipped(name: str, at: int) -> Callable[[dict[str, bytes]], dict[str, bytes]]:
        return lambda fields: {**fields, name: flip(fields[name], at)}

    yield case(
        "ek-of-ml-kem-changed", "A bit of the ML-KEM part is changed.", encapsulate=lambda key, to: _flip_ek(key, to, 5)
    )
    yield case(
        "ek-of-x25519-changed",
        "A bit of the X25519 part is changed.",
        encapsulate=lambda key, to: _flip_ek(key, to, 1100),
    )
    yield case("ek-of-zeros", "The encapsulated key is all zero.", header=lambda h: {**h, "ek": b64(bytes(1120))})
    yield case(
        "ek-of-small-order", "Its X25519 part is zero, and so is the secret that comes of it.", encapsulate=_small_order
    )
    yield case("encrypted-key-changed", "A bit of the encrypted key is changed.", fields=flipped("encrypted_key", 0))
    yield case("iv-changed", "A bit of the iv is changed.", fields=flipped("iv", 0))
    yield case("ciphertext-changed", "A bit of the first byte is changed.", fields=flipped("ciphertext", 0))
    yield case("ciphertext-end-changed", "A bit of the last byte is changed.", fields=flipped("ciphertext", -1))
    yield case("ciphertext-cut", "The ciphertext lacks its last byte.",
               fields=lambda fields: {**fields, "ciphertext": fields["ciphertext"][:-1]})  # fmt: skip
    yield case("tag-changed", "A bit of the tag is changed.", fields=flipped("tag", -1))
    yield case("exercise-changed-outside", "The exercise mark was changed after sealing.",
               fields=lambda f: {**f, "protected": f["protected"].replace(b'"exercise":false', b'"exercise":true')})  # fmt: skip
    yield case("expiry-changed-outside", "The expiry was put off after sealing.",
               fields=lambda f: {**f, "protected": f["protected"].replace(b'"exp":1', b'"exp":2')})  # fmt: skip
    yield case("recipient-swapped", "Sealed to Sweden; then country and key id were made Finland's.",
               recipient=SE[2], header=plus(kid=FI[2].kid))  # fmt: skip
    yield case("our-other-key", "Sealed to one of our keys, naming the other.",
               holds=(FI[2], FI_NEW[2]), header=plus(kid=FI_NEW[2].kid))  # fmt: skip
    yield case("no-aad", "The header is not authenticated.", aad=lambda _aad: b"")
    yield case(
        "aad-decoded",
        "The decoded header is authenticated instead of its base64url.",
        aad=lambda aad: base64.urlsafe_b64decode(aad + b"=="),
    )
    yield case("other-info", "HPKE info without the encryption's name.",
               encapsulate=lambda key, to: _seal(key, to, info=b"JOSE-HPKE rcpt\xff"))  # fmt: skip
    yield case("no-info", "Empty HPKE info.", encapsulate=lambda key, to: _seal(key, to, info=b""))
    yield case("other-kdf", "HPKE with HKDF-SHA256.", encapsulate=lambda key, to: _seal(key, to, kdf=KDF.HKDF_SHA256))
    yield case("other-aead", "HPKE with ChaCha20-Poly1305.",
               encapsulate=lambda key, to: _seal(key, to, aead=AEAD.CHACHA20_POLY1305))  # fmt: skip


def _flip_ek(content_key: bytes, recipient: Key, at: int) -> tuple[bytes, bytes]:
    ek, encrypted_key = _seal(content_key, recipient)
    return flip(ek, at), encrypted_key


def _small_order(content_key: bytes, recipient: Key) -> tuple[bytes, bytes]:
    """Encapsulate as PROTOCOL 6.4 has it in bytes: no library does this with a point of small order."""
    public = recipient.public_bytes
    secret, ciphertext = MLKEM768PublicKey.from_public_bytes(public[:-32]).encapsulate()
    point, zeros = bytes(32), bytes(32)
    shared = hashlib.sha3_256(secret + zeros + point + public[-32:] + bytes.fromhex("5c2e2f2f5e5c")).digest()
    suite = bytes.fromhex("48504b452d763148504b45647a001100020006736563726574006c0000000017")
    schedule = hashlib.shake_256(bytes.fromhex("00000020") + shared + suite + INFO).digest(108)
    return ciphertext + point, AESGCM(schedule[:32]).encrypt(schedule[32:44], content_key, b"")


def _padding() -> Iterator[Case]:
    def case(name: str, comment: str, padding: Callable[[bytes], bytes]) -> Case:
        return refused("padding", "padding", f"padding-{name}", comment, padding=padding)

    yield case("none", "No padding.", lambda raw: raw)
    yield case("one-short", "One space too few.", lambda raw: pad(raw)[:-1])
    yield case("one-long", "One space too many.", lambda raw: pad(raw) + b" ")
    yield case("next-length", "Padded to 32 KiB although 16 KiB suffice.", lambda raw: raw.ljust(32768))
    yield case("three-times", "Padded to 48 KiB, which is no length.", lambda raw: raw.ljust(49152))
    yield case("zeros", "Zero bytes instead of spaces.", lambda raw: raw.ljust(16384, b"\0"))
    yield case("newline", "A newline among the spaces.", lambda raw: (raw + b"\n").ljust(16384))
    yield case("only", "Nothing but spaces.", lambda _raw: b" " * 16384)
    yield case("hidden-byte", "A byte behind the spaces.", lambda raw: raw.ljust(16383) + b"x")
    yield case("compact-jws", "A compact signed object.", lambda _raw: pad(b"e30.e30.AA"))
