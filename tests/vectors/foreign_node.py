# SPDX-FileCopyrightText: The trm-broker authors
# SPDX-License-Identifier: Apache-2.0
"""Another country's node, the least of one, written from PROTOCOL alone: it imports nothing of the product.

One peer, one procedure table, everything in memory. It builds on the second readers and writers that stand beside it.
"""

from __future__ import annotations

import hashlib
import json
import secrets
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from typing import Any

from attachment_forge import File
from audit_reader import checkpoint
from cryptography.hazmat.primitives.asymmetric.mlkem import MLKEM768PublicKey
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PublicKey
from cryptography.hazmat.primitives.hpke import MLKEM768X25519PublicKey
from forge import ED25519, HPKE, HYBRID, INFO, ML_DSA, Forge, Key, b64
from reader import dump, moment, taken, thumbprint, unb64
from record_reader import Record, table_digest

CROCKFORD = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
NODE = "node"


def when(at: datetime) -> str:
    """Return the text of a time (2.3)."""
    return f"{at:%Y-%m-%dT%H:%M:%S}.{at.microsecond // 1000:03}Z"


def uuid7(at: datetime) -> str:
    """Return a fresh identifier (2.4)."""
    milliseconds = int(at.timestamp() * 1000)
    bits = milliseconds << 80 | 7 << 76 | secrets.randbits(12) << 64 | 2 << 62 | secrets.randbits(62)
    text = f"{bits:032x}"
    return f"{text[:8]}-{text[8:12]}-{text[12:16]}-{text[16:20]}-{text[20:]}"


class PeerKey:
    """The peer's encryption key, of which only the public part is known (7.3)."""

    def __init__(self, jwk: dict[str, str]) -> None:
        self.kid, raw = thumbprint(jwk), unb64(jwk["pub"])
        ml_kem, x25519 = MLKEM768PublicKey.from_public_bytes(raw[:1184]), X25519PublicKey.from_public_bytes(raw[1184:])
        self.public = MLKEM768X25519PublicKey(ml_kem, x25519)

    def encapsulate(self, content_key: bytes, _: Any) -> tuple[bytes, bytes]:
        """Return encapsulated key and encrypted content key (6.4)."""
        sealed = HPKE.encrypt(content_key, self.public, INFO)
        return sealed[:1120], sealed[1120:]


class ForeignNode:
    """A node of FI that speaks with one other country."""

    def __init__(self, office: str, peer: dict[str, Any], table: dict[str, Any], now: Callable[[], datetime]) -> None:
        """Args: own office, the peer's document (13.4), the one table, and the clock."""
        self.office, self.peer, self.table, self.now = office, peer, table, now
        self.keys = [Key("FI", use) for use in (ED25519, ML_DSA, HYBRID)]
        self.procedure: dict[str, str] = {}
        self.case_ref = "CR-" + "".join(secrets.choice(CROCKFORD) for _ in range(20))
        self.opener = ""
        self.messages = list[dict[str, Any]]()  # the record
        self.answers = list[dict[str, Any]]()
        self.contents = dict[str, bytes]()  # by digest
        self.signed = dict[str, Any]()  # what the peer wrote, as it came
        self.files = dict[str, File]()  # by message id
        self.owed = list[dict[str, Any]]()  # receipts that wait for an envelope
        self.out = list[bytes]()  # envelopes and chunks that wait for the transport
        self.ladder = dict[str, list[str]]()  # by message id: the kinds of its receipts
        self.differences = list[str]()
        self.checkpoints = list[dict[str, Any]]()

    def document(self, messages: dict[str, list[str]]) -> dict[str, Any]:
        """Return what the trust list says of this member (13.4)."""
        at = self.now() - timedelta(hours=1)
        times = {"not_before": at, "sign_until": at + timedelta(days=300), "accept_until": at + timedelta(days=400)}
        texts = {name: f"{value:%Y-%m-%dT%H:%M:%S}Z" for name, value in times.items()}
        return {
            "format": "trm-member/1",
            "country": "FI",
            "keys": [{"jwk": key.jwk, **texts, "revoked": None} for key in self.keys],
            "authorities": [{"id": self.office, "name": "An office"}],
            "messages": messages,
            "procedures": {self.table["procedure"]: [self.table["version"]]},
        }

    # --- writing

    def write(self, submission: dict[str, Any], file: File | None = None) -> str:
        """Compose a casework message, seal it, and return its digest."""
        id_ = uuid7(self.now())
        if not self.procedure:
            name, version = self.table["procedure"], self.table["version"]
            self.procedure = {"digest": table_digest(self.table), "id": id_, "name": name, "version": version}
            self.opener = "FI"
        header = {
            name: submission[name] for name in ("language", "legal_basis", "purpose", "type", "urgency", "version")
        }
        header |= self._header(id_, self.office, submission["recipient"]["authority"])
        header |= {"case_ref": self.case_ref, "parents": self.record().heads, "procedure": self.procedure}
        header |= {} if file is None else {"attachments": [file.description()]}
        content = dump({"body": submission["body"], "header": header})
        self._add(header, content)
        self.out.append(self._sealed(id_, content))
        if file is not None:
            self.files[id_] = file
            self.out += [self._chunk(id_, index) for index in range(file.description()["chunks"])]
        return hashlib.sha256(content).hexdigest()

    def say(self, kind: str, body: dict[str, Any], version: str = "1.0") -> None:
        """Seal a message from node to node."""
        id_ = uuid7(self.now())
        header = self._header(id_, NODE, NODE) | {"parents": [], "type": kind, "version": version}
        self.out.append(self._sealed(id_, dump({"body": body, "header": header})))

    def answer(self) -> None:
        """Send the receipts that wait (9.1)."""
        while self.owed:
            batch, self.owed = self.owed[:20], self.owed[20:]
            self.say("node.receipts", {"receipts": batch})

    def record(self) -> Record:
        """Return the record as it stands (10)."""
        return Record(self.table, self.opener, self.messages, self.answers)

    def _header(self, id_: str, sender: str, recipient: str) -> dict[str, Any]:
        return {
            "id": id_,
            "created": when(self.now()),
            "exercise": False,
            "nonce": b64(secrets.token_bytes(16)),
            "sender": {"authority": sender, "country": "FI"},
            "recipient": {"authority": recipient, "country": self.peer["country"]},
        }

    def _sealed(self, id_: str, content: bytes) -> bytes:
        expires = int((self.now() + timedelta(days=30)).timestamp())
        trm = {"exercise": False, "exp": expires, "from": "FI", "id": id_, "to": self.peer["country"], "v": 1}
        key = PeerKey(next(key["jwk"] for key in self.peer["keys"] if key["jwk"].get("alg") == HYBRID))
        signers = (self.keys[0], self.keys[1])
        return Forge(trm=trm, content=content, signers=signers, recipient=key, encapsulate=key.encapsulate).build()  # type: ignore[arg-type]

    def _chunk(self, id_: str, index: int) -> bytes:
        return self.files[id_].chunk(index, sender=b"FI", recipient=self.peer["country"].encode(), message=id_)

    # --- reading

    def take(self, raw: bytes) -> str:
        """Read an envelope and return its type (8)."""
        keys = self._peer_keys()
        vector = {
            "now": when(self.now()),
            "envelope": b64(raw),
            "recipient": {"member": "FI", "keys": [{"jwk": self.keys[2].private_jwk}]},
            "members": {self.peer["country"]: {"status": "ACTIVE", "keys": keys}},
        }
        content, signed = taken(vector)
        message = json.loads(content)
        header, body = message["header"], message["body"]
        if header["type"] == "node.receipts":
            if "checkpoint" in body:  # 9.1a
                self.checkpoints.append(checkpoint(body["checkpoint"], self.peer["country"], self._peer_keys()))
            self.take_receipts(body["receipts"])
        elif header["type"] == "node.missing":
            for item in body["missing"]:
                self.out += [self._chunk(item["message"], index) for index in indices(item["chunks"])]
        elif header["type"] == "node.restored":
            self.give(header["id"], body)
        elif hashlib.sha256(content).hexdigest() not in self.contents:
            self._take_casework(header, content, signed)
        return str(header["type"])

    def _peer_keys(self) -> list[dict[str, Any]]:
        """Return the peer's keys (13.4) in the form of vectors and of exports; none is revoked."""
        keys = []
        for key in self.peer["keys"]:
            jwk = key["jwk"]
            keys.append(
                {**key, "use": jwk.get("alg", ED25519), "public": jwk.get("pub", jwk.get("x")), "revoked_at": None}
            )
        return keys

    def take_receipts(self, receipts: list[dict[str, Any]]) -> None:
        """Take the peer's receipts, and hold what they say of the record against it (9, 10.9)."""
        for receipt in receipts:
            said = self.ladder.setdefault(receipt["message"], [])
            if receipt["kind"] in said:
                continue
            said.append(receipt["kind"])
            if receipt["kind"] in ("delivered", "refused"):
                self.answers.append({**receipt, "issuer": self.peer["country"], "heads": receipt.get("heads", [])})
            for entry in self.messages:
                if receipt["kind"] == "refused" and entry["digest"] == receipt["digest"]:
                    entry["code"] = receipt["code"]
        for receipt in receipts:
            if "record_digest" in receipt and self.record().digest(receipt["heads"]) != receipt["record_digest"]:
                self.differences.append(receipt["digest"])

    def _take_casework(self, header: dict[str, Any], content: bytes, signed: Any) -> None:
        if not self.procedure:
            self.procedure, self.opener, self.case_ref = (
                header["procedure"],
                header["sender"]["country"],
                header["case_ref"],
            )
        digest = self._add(header, content)
        self.signed[digest] = signed
        about = {"author": self.peer["country"], "digest": digest, "message": header["id"], "at": when(self.now())}
        record = self.record()
        answer = {**about, "kind": "delivered", "heads": record.heads}
        inside = set(record.heads).union(*(record.above[head] for head in record.heads))
        answered = {one["digest"] for one in self.answers}
        if all(one["digest"] in answered for one in self.messages if one["author"] == "FI" and one["digest"] in inside):
            answer["record_digest"] = record.digest(record.heads)
        self.answers.append({**answer, "issuer": "FI"})
        self.owed += [answer, {**about, "kind": "handed-over"}]

    def _add(self, header: dict[str, Any], content: bytes) -> str:
        digest = hashlib.sha256(content).hexdigest()
        self.contents[digest] = content
        self.messages.append({
            "act": header["type"].split(".")[1],
            "author": header["sender"]["country"],
            "digest": digest,
            "message": header["id"],
            "parents": header["parents"],
        })  # fmt: skip
        return digest

    # --- giving back (17)

    def give(self, question: str, asked: dict[str, Any]) -> None:
        """Answer a restored peer: with the list, or with the messages that it wants."""
        if "wanted" not in asked:
            items = [self._item(one) for one in self._passed(asked)]
            self.say("node.held", {"question": question} | ({"items": items} if items else {}))
            return
        sent, returned = list[str](), list[dict[str, Any]]()
        for digest in asked["wanted"]:
            message = next((one for one in self.messages if one["digest"] == digest and "code" not in one), None)
            if message is None:
                continue
            sent.append(digest)
            if message["author"] == "FI":
                self.out.append(self._sealed(message["message"], self.contents[digest]))
            else:
                about = {"digest": digest, "signed": self.signed[digest]}
                returned.append(about | {"receipts": [bare(one) for one in self.answers if one["digest"] == digest]})
        lacking = sorted(set(asked["wanted"]) - set(sent))
        told = (
            {"question": question}
            | ({"sent": sorted(sent)} if sent else {})
            | ({"lacking": lacking} if lacking else {})
        )
        self.say("node.held", told)
        for one in returned:
            self.say("node.held", {"question": question, "returned": one})

    def _passed(self, asked: dict[str, Any]) -> Iterator[dict[str, Any]]:
        since = moment(asked["since"]) - timedelta(hours=1)
        old = {one["digest"] for one in self.answers if moment(one["at"]) < since}
        after = asked.get("after", {"message": "", "author": ""})
        for one in sorted(self.messages, key=lambda one: (one["message"], one["author"])):
            if one["digest"] not in old and (one["message"], one["author"]) > (after["message"], after["author"]):
                yield one

    def _item(self, one: dict[str, Any]) -> dict[str, Any]:
        item = {name: one[name] for name in ("act", "author", "digest", "message")}
        item |= {"opener": self.opener, "procedure": self.procedure["id"]}
        item |= {"code": one["code"], "parents": one["parents"]} if "code" in one else {}
        ours = [
            bare(answer) for answer in self.answers if answer["issuer"] == "FI" and answer["digest"] == one["digest"]
        ]
        return item | ({"receipts": ours} if ours else {})


def bare(answer: dict[str, Any]) -> dict[str, Any]:
    """Return an answer as a receipt travels: its issuer is who sends it."""
    return {name: value for name, value in answer.items() if name != "issuer"}


def indices(text: str) -> list[int]:
    """Return the chunks of their short form (15.7)."""
    found = list[int]()
    for part in text.split(","):
        first, _, last = part.partition("-")
        found += range(int(first), int(last or first) + 1)
    return found
