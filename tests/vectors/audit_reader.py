# SPDX-FileCopyrightText: The trm-broker authors
# SPDX-License-Identifier: Apache-2.0
"""A second reader of audit trails, written from PROTOCOL 14 alone: chains, checkpoints and exported files.

Keys are those of 14.4: ``kid``, ``use``, ``public`` and the four times; whose they are is known from a trust list.
"""

from __future__ import annotations

import hashlib
from typing import Any

from reader import Refused, canonical, dump, exactly, filled, moment, refuse_unless, thumbprint, unb64, verify

USES = ("Ed25519", "ML-DSA-65")
LENGTHS = (64, 3309)
CHECKPOINT, EXPORT = "trm-checkpoint+jws", "trm-audit-export+jws"
Keys = list[dict[str, Any]]


def bad(condition: object) -> None:
    """Refuse unless the condition holds."""
    refuse_unless(condition, "audit", "bad")


def link(previous: str, position: int, digest: str) -> str:
    """Return the link of an entry (14.2)."""
    return hashlib.sha256(dump({"digest": digest, "position": position, "previous": previous})).hexdigest()


def statement(jws: Any, kind: str, keys: Keys, at: str | None = None) -> Any:
    """Return what is signed; keys are judged at the time given, or at the one that it states (14.3)."""
    bad(exactly(jws, "payload", "signatures") and isinstance(jws["signatures"], list) and len(jws["signatures"]) == 2)
    payload = canonical(filled(jws["payload"], "audit", "bad"), "audit")
    bad(isinstance(payload, dict))
    signatures, publics = [], []
    for item, use, length in zip(jws["signatures"], USES, LENGTHS, strict=True):
        bad(exactly(item, "protected", "signature"))
        header = canonical(filled(item["protected"], "audit", "bad"), "audit")
        bad(exactly(header, "alg", "kid", "typ") and (header["alg"], header["typ"]) == (use, kind))
        value = filled(item["signature"], "audit", "bad")
        bad(len(value) == length)
        signatures.append((item["protected"], header, value))
        publics.append(public_of(keys, header["kid"], use, moment(at or payload["at"])))
    verify(jws["payload"], signatures, publics)
    return payload


def public_of(keys: Keys, kid: Any, use: str, at: Any) -> bytes:
    """Return the public key that could sign at that time."""
    key = next((key for key in keys if (kid_of(key), key["use"]) == (kid, use)), None)
    if key is None:
        raise Refused("audit", "bad")
    bad(moment(key["not_before"]) <= at < moment(key["accept_until"]))
    bad(key["revoked_at"] is None or at < moment(key["revoked_at"]))
    return unb64(key["public"])


def kid_of(key: dict[str, Any]) -> str:
    """Return a key's id, whatever the file says it is."""
    if key["use"] == "Ed25519":
        return thumbprint({"crv": "Ed25519", "kty": "OKP", "x": key["public"]})
    return thumbprint({"alg": key["use"], "kty": "AKP", "pub": key["public"]})


def checkpoint(jws: Any, country: str, keys: Keys) -> dict[str, Any]:
    """Return the checkpoint of a country (14.3)."""
    stated = statement(jws, CHECKPOINT, keys)
    bad(exactly(stated, "at", "country", "cut", "head", "position", "trust", "v"))
    bad(type(stated["v"]) is int and stated["v"] == 1 and stated["country"] == country)
    bad(type(stated["cut"]) is bool and type(stated["position"]) is int and stated["position"] >= 0)
    return dict(stated)


def contradict(one: dict[str, Any], other: dict[str, Any]) -> bool:
    """Whether two checkpoints of one country cannot both be true (14.3)."""
    if one["position"] == other["position"]:
        return bool(one["head"] != other["head"])
    lower, higher = sorted((one, other), key=lambda stated: int(stated["position"]))
    return moment(lower["at"]) > moment(higher["at"])


def export(raw: bytes, listed: Keys | None = None) -> dict[str, Any]:
    """Return the first line of a file, with how many entries it has and shows, or refuse it (14.4)."""
    bad(raw.endswith(b"\n"))
    lines = raw[:-1].split(b"\n")
    bad(len(lines) >= 3)
    values = [canonical(line, "audit") for line in lines]
    about, stated, signature = values[0], values[-2], values[-1]
    bad(exactly(about, "country", "filter", "format", "keys", "made", "reason", "start", "trust"))
    bad(about["format"] == "trm-audit-export/1")
    bad(exactly(stated, "checkpoint") and exactly(signature, "signature"))
    keys = about["keys"] if listed is None else listed
    limited = any(limit is not None for limit in about["filter"].values())
    start = {"head": "0" * 64, "position": 0}
    if about["start"] is not None:
        start = checkpoint(about["start"], about["country"], keys)
    position, chain, shown = start["position"], start["head"], 0
    for value in values[1:-2]:
        bad(exactly(value, "entry", "position") or (limited and exactly(value, "digest", "position")))
        position += 1
        bad(type(value["position"]) is int and value["position"] == position)
        shown += "entry" in value
        digest = hashlib.sha256(dump(value["entry"])).hexdigest() if "entry" in value else value["digest"]
        chain = link(chain, position, digest)
    end = checkpoint(stated["checkpoint"], about["country"], keys)
    bad((end["position"], end["head"]) == (position, chain))
    whole = b"".join(line + b"\n" for line in lines[:-1])
    told = {"country": about["country"], "digest": hashlib.sha256(whole).hexdigest(), "lines": len(lines) - 1, "v": 1}
    bad(dump(statement(signature["signature"], EXPORT, keys, about["made"])) == dump(told))
    return {"about": about, "entries": len(values) - 3, "shown": shown, "end": end}
