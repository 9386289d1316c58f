# SPDX-FileCopyrightText: The trm-broker authors
# SPDX-License-Identifier: Apache-2.0
"""A second reader of envelopes, written from ``schemas/PROTOCOL.md`` alone: it imports nothing of the product.

Slow and plain on purpose. Each check raises `Refused` with the layer and code of its row in section 8.
"""

from __future__ import annotations

import base64
import hashlib
import json
import re
from datetime import datetime, timedelta
from typing import Any, NoReturn

from cryptography.exceptions import InvalidSignature, InvalidTag
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.mldsa import MLDSA65PublicKey
from cryptography.hazmat.primitives.asymmetric.mlkem import MLKEM768PrivateKey
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hpke import AEAD, KDF, KEM, MLKEM768X25519PrivateKey, Suite

UUID7 = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}")
COUNTRY = re.compile(r"(?!EL|UK)[A-Z]{2}")
KID = re.compile(r"[A-Za-z0-9_-]{43}")
NODE_TYPE = re.compile(r"node\.[a-z0-9]+(?:-[a-z0-9]+)*")
TIME = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}T(?:[01][0-9]|2[0-3]):[0-9]{2}:[0-9]{2}\.[0-9]{3}Z")
NUMBER = re.compile(r"-?(0|[1-9][0-9]*)")


class Refused(Exception):
    """A check failed."""

    def __init__(self, layer: str, code: str) -> None:
        super().__init__(f"{layer}: {code}")
        self.layer, self.code = layer, code


def refuse_unless(condition: object, layer: str, code: str) -> None:
    """Go on only where the condition holds."""
    if not condition:
        raise Refused(layer, code)


def read(vector: dict[str, Any]) -> bytes:
    """Return the content of a vector's envelope, or raise `Refused`."""
    return taken(vector)[0]


def taken(vector: dict[str, Any]) -> tuple[bytes, dict[str, Any]]:
    """Return content and signed object of a vector's envelope, or raise `Refused`."""
    raw = unb64(vector["envelope"])
    pad = vector.get("envelope_pad", {"byte": "", "count": 0})
    raw += pad["byte"].encode() * pad["count"]
    refuse_unless(len(raw) <= 1_441_792, "size", "too-large")  # 8.1
    outer = canonical(raw, "outer")  # 8.2
    fields = outer_members(outer)  # 8.3
    header = protected_header(fields["protected"])  # 8.4
    signed = opened(vector, outer["protected"], fields, header)  # 8.5 to 8.9
    jws = canonical(signed, "jws")  # 8.10
    signatures = two_signatures(jws)
    for _, head, _ in signatures:  # 8.11
        refuse_unless(dump(head["trm"]) == dump(header["trm"]), "jws", "header-mismatch")
    keys = sender_keys(vector, header["trm"], [head["kid"] for _, head, _ in signatures])  # 8.12
    verify(jws["payload"], signatures, keys)  # 8.13
    content = unb64(jws["payload"])
    check_content(canonical(content, "content"), header["trm"], moment(vector["now"]))  # 8.14 to 8.16
    return content, jws


def unb64(text: str) -> bytes:
    """Return the bytes of the one spelling of base64url (2.2)."""
    raw = base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
    if base64.urlsafe_b64encode(raw).decode().rstrip("=") != text:
        raise ValueError("another spelling")
    return raw


def dump(value: Any) -> bytes:
    """Return canonical JSON; sorting by code point is sorting by bytes, because names are ASCII (2.1)."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()


def canonical(raw: bytes, layer: str) -> Any:
    """Return the value of canonical JSON (2.1)."""
    try:
        if deepest(raw) > 24:  # before parsing: no parser is asked to go deeper
            raise ValueError("too deep")
        value = json.loads(
            raw.decode("utf-8"), parse_int=integer, parse_float=never, parse_constant=never, object_pairs_hook=members
        )
        if dump(value) != raw:
            raise ValueError("another spelling")
    except (ValueError, RecursionError):
        raise Refused(layer, "not-canonical") from None
    return value


def deepest(raw: bytes) -> int:
    """Return how deep brackets go, left aside those in texts."""
    depth = most = 0
    for bracket in re.findall(rb"[\[\]{}]", re.sub(rb'"(\\.|[^"\\])*"', b"", raw)):
        depth += 1 if bracket in b"[{" else -1
        most = max(most, depth)
    return most


def never(_text: str) -> NoReturn:
    """Refuse a number that is no integer."""
    raise ValueError("not an integer")


def integer(text: str) -> int:
    """Return an integer within the bounds."""
    if len(text) > 17 or not NUMBER.fullmatch(text) or abs(int(text)) > 2**53 - 1:
        raise ValueError("not an integer that is allowed")
    return int(text)


def members(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Return an object whose member names are ASCII."""
    if not all(name.isascii() for name, _ in pairs):
        raise ValueError("a member name outside ASCII")
    return dict(pairs)


def exactly(value: Any, *names: str) -> bool:
    """Whether a value is an object of exactly these members."""
    return isinstance(value, dict) and sorted(value) == sorted(names)


def filled(text: Any, layer: str, code: str) -> bytes:
    """Return the bytes of a text of base64url that is not empty."""
    refuse_unless(isinstance(text, str) and text, layer, code)
    try:
        return unb64(text)
    except ValueError:
        raise Refused(layer, code) from None


def outer_members(outer: Any) -> dict[str, bytes]:
    """Return the five members decoded (8.3)."""
    names = ("ciphertext", "encrypted_key", "iv", "protected", "tag")
    refuse_unless(exactly(outer, *names), "members", "envelope-members")
    return {name: filled(outer[name], "members", "envelope-members") for name in names}


def protected_header(raw: bytes) -> dict[str, Any]:
    """Return the protected header (8.4)."""
    header = canonical(raw, "header")
    bad = ("header", "envelope-header")
    refuse_unless(isinstance(header, dict), *bad)
    trm = header.get("trm")
    if isinstance(trm, dict) and isinstance(trm.get("v"), int) and not isinstance(trm["v"], bool):
        refuse_unless(trm["v"] == 1, "header", "unsupported-envelope-version")
    refuse_unless(exactly(header, "alg", "crit", "ek", "enc", "kid", "trm", "typ"), *bad)
    refuse_unless(header["alg"] == "HPKE-9-KE" and header["enc"] == "A256GCM", *bad)
    refuse_unless(header["crit"] == ["trm"] and header["typ"] == "trm+jwe", *bad)
    refuse_unless(isinstance(header["kid"], str) and KID.fullmatch(header["kid"]), *bad)
    filled(header["ek"], *bad)
    refuse_unless(exactly(trm, "exercise", "exp", "from", "id", "to", "v"), *bad)
    refuse_unless(isinstance(trm["exercise"], bool) and trm["v"] is not True, *bad)
    refuse_unless(isinstance(trm["exp"], int) and not isinstance(trm["exp"], bool) and trm["exp"] >= 0, *bad)
    refuse_unless(all(isinstance(trm[name], str) for name in ("from", "id", "to")) and trm["v"] == 1, *bad)
    refuse_unless(COUNTRY.fullmatch(trm["from"]) and COUNTRY.fullmatch(trm["to"]) and UUID7.fullmatch(trm["id"]), *bad)
    return header


def thumbprint(jwk: dict[str, str]) -> str:
    """Return the key id (7.1)."""
    required = ("crv", "kty", "x") if jwk["kty"] == "OKP" else ("alg", "kty", "pub")
    digest = hashlib.sha256(dump({name: jwk[name] for name in required})).digest()
    return base64.urlsafe_b64encode(digest).decode().rstrip("=")


def opened(vector: dict[str, Any], protected: str, fields: dict[str, bytes], header: dict[str, Any]) -> bytes:
    """Return the signed object without its padding (8.5 to 8.9)."""
    held = {thumbprint(key["jwk"]): key["jwk"] for key in vector["recipient"]["keys"]}
    refuse_unless(header["trm"]["to"] == vector["recipient"]["member"], "recipient", "not-for-us")
    refuse_unless(header["kid"] in held, "key", "unknown-recipient-key")
    ek = unb64(header["ek"])
    lengths = (len(ek), len(fields["encrypted_key"]), len(fields["iv"]), len(fields["tag"]))
    refuse_unless(lengths == (1120, 48, 12, 16), "lengths", "field-length")
    expanded = hashlib.shake_256(unb64(held[header["kid"]]["priv"])).digest(96)
    private = MLKEM768X25519PrivateKey(
        MLKEM768PrivateKey.from_seed_bytes(expanded[:64]), X25519PrivateKey.from_private_bytes(expanded[64:])
    )
    info = bytes.fromhex("4a4f53452d48504b452072637074ff4132353647434dff")
    try:
        suite = Suite(KEM.MLKEM768_X25519, KDF.SHAKE256, AEAD.AES_256_GCM)
        content_key = suite.decrypt(ek + fields["encrypted_key"], private, info)
        plaintext = AESGCM(content_key).decrypt(fields["iv"], fields["ciphertext"] + fields["tag"], protected.encode())
    except InvalidTag:
        raise Refused("decrypt", "decrypt-failed") from None
    signed = plaintext.rstrip(b" ")
    lengths_allowed = [16384 * 2**n for n in range(7) if 16384 * 2**n >= len(signed)]
    refuse_unless(signed[-1:] == b"}" and lengths_allowed[:1] == [len(plaintext)], "padding", "padding")
    return signed


def two_signatures(jws: Any) -> list[tuple[str, dict[str, Any], bytes]]:
    """Return of each signature its protected header as it stands, decoded, and its value (8.10)."""
    bad = ("jws", "signature-shape")
    refuse_unless(exactly(jws, "payload", "signatures"), *bad)
    filled(jws["payload"], *bad)
    refuse_unless(isinstance(jws["signatures"], list) and len(jws["signatures"]) == 2, *bad)
    found = []
    for item, algorithm, length in zip(jws["signatures"], ("Ed25519", "ML-DSA-65"), (64, 3309), strict=True):
        refuse_unless(exactly(item, "protected", "signature"), *bad)
        head = canonical(filled(item["protected"], *bad), "jws")
        refuse_unless(exactly(head, "alg", "crit", "kid", "trm", "typ"), *bad)
        refuse_unless(head["alg"] == algorithm and head["crit"] == ["trm"] and head["typ"] == "trm+jws", *bad)
        refuse_unless(isinstance(head["kid"], str) and KID.fullmatch(head["kid"]), *bad)
        value = filled(item["signature"], *bad)
        refuse_unless(len(value) == length, *bad)
        found.append((item["protected"], head, value))
    return found


def sender_keys(vector: dict[str, Any], trm: dict[str, Any], kids: list[str]) -> list[bytes]:
    """Return the two public keys of the stated sender (8.12)."""
    listed = vector["members"]
    refuse_unless(trm["from"] in listed, "sender", "unknown-sender")
    sender = listed[trm["from"]]
    refuse_unless(sender["status"] == "ACTIVE", "sender", "sender-suspended")
    own = {thumbprint(key["jwk"]): key for key in sender["keys"]}
    everybody = {thumbprint(key["jwk"]) for member in listed.values() for key in member["keys"]}
    now, found = moment(vector["now"]), []
    for kid, use in zip(kids, ("x", "pub"), strict=True):
        refuse_unless(kid in everybody, "sender", "unknown-key")
        key = own.get(kid)
        fits = key is not None and use in key["jwk"] and key["jwk"].get("alg", "ML-DSA-65") == "ML-DSA-65"
        if key is None or not fits:
            raise Refused("sender", "wrong-member-key")
        refuse_unless(moment(key["not_before"]) <= now, "sender", "key-not-yet-valid")
        refuse_unless(now < moment(key["accept_until"]), "sender", "key-expired")
        refuse_unless(key["revoked_at"] is None or now < moment(key["revoked_at"]), "sender", "key-revoked")
        found.append(unb64(key["jwk"][use]))
    return found


def verify(payload: str, signatures: list[tuple[str, dict[str, Any], bytes]], keys: list[bytes]) -> None:
    """Verify both signatures (8.13)."""
    (first, _, ed25519), (second, _, ml_dsa) = signatures
    try:
        Ed25519PublicKey.from_public_bytes(keys[0]).verify(ed25519, f"{first}.{payload}".encode())
        MLDSA65PublicKey.from_public_bytes(keys[1]).verify(ml_dsa, f"{second}.{payload}".encode())
    except InvalidSignature:
        raise Refused("signature", "bad-signature") from None


def check_content(content: Any, trm: dict[str, Any], now: datetime) -> None:
    """Hold the content against the profile header and the clock (8.14 to 8.16)."""
    refuse_unless(exactly(content, "body", "header"), "content", "content-shape")
    header = content["header"]
    refuse_unless(isinstance(header, dict) and isinstance(content["body"], dict), "content", "content-shape")
    parties = {name: header.get(name) for name in ("sender", "recipient")}
    countries = {name: party.get("country") if isinstance(party, dict) else None for name, party in parties.items()}
    same = (
        header.get("id") == trm["id"]
        and (countries["sender"], countries["recipient"]) == (trm["from"], trm["to"])
        and isinstance(header.get("exercise"), bool)
        and header["exercise"] == trm["exercise"]
    )
    refuse_unless(same, "match", "header-mismatch")
    if isinstance(header.get("type"), str) and NODE_TYPE.fullmatch(header["type"]):
        return  # notes of 8: what nodes say to each other is not held against times
    refuse_unless(now.timestamp() < trm["exp"], "expiry", "expired")
    created = made(header.get("created"))
    refuse_unless(created is None or created <= now + timedelta(minutes=10), "expiry", "clock-ahead")
    refuse_unless(trm["exp"] <= now.timestamp() + 60 * 86_400 + 600, "expiry", "expiry-too-far")


def made(created: Any) -> datetime | None:
    """Return when a message says that it was made, or None where the header's schema will refuse what it says (8.16)."""
    if not isinstance(created, str) or not TIME.fullmatch(created):
        return None
    try:
        return moment(created)
    except ValueError:
        return None


def moment(text: str) -> datetime:
    """Return the time of a text (2.3)."""
    return datetime.fromisoformat(text)
