# SPDX-FileCopyrightText: The trm-broker authors
# SPDX-License-Identifier: Apache-2.0
"""A second reader of a published trust list, written from PROTOCOL 13 and TUF's specification: no code of the product, nor TUF's.

It reads what is in order, from the first root on, and stops at the first thing that is not.
"""

from __future__ import annotations

import base64
import hashlib
import json
from typing import Any

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.mldsa import MLDSA65PublicKey
from cryptography.hazmat.primitives.serialization import load_pem_public_key


def read(vector: dict[str, Any]) -> dict[str, Any]:
    """Return the version and each member's status and key ids, or refuse."""
    files = {path: unb64(text) for path, text in vector["files"].items()}
    root = json.loads(unb64(vector["root"]))
    roles, keys = root["signed"]["roles"], root["signed"]["keys"]
    check(root, roles["root"], keys)
    timestamp = json.loads(files["metadata/timestamp.json"])
    check(timestamp, roles["timestamp"], keys)
    snapshot = listed(files, "snapshot", timestamp["signed"]["meta"])
    check(snapshot, roles["snapshot"], keys)
    targets = listed(files, "targets", snapshot["signed"]["meta"])
    check(targets, roles["targets"], keys)
    federation = document(files, "federation.json", targets)
    members = {}
    for role in targets["signed"]["delegations"]["roles"]:
        name = role["name"]
        paths = [f"members/{name}.json", f"members/{name}/profile.json"]
        refuse_unless(role["terminating"] is True and role["paths"] == paths)
        own = listed(files, name, snapshot["signed"]["meta"])
        check(own, role, targets["signed"]["delegations"]["keys"])
        said = document(files, paths[0], own)
        refuse_unless(said["country"] == name)
        kids = [thumbprint(key["jwk"]) for key in said["keys"]]
        members[name] = {"kids": kids, "status": federation["members"][name]["status"]}
    return {"members": members, "version": snapshot["signed"]["version"]}


def check(metadata: dict[str, Any], role: dict[str, Any], keys: dict[str, Any]) -> None:
    """Refuse a list that too few of its role's keys have signed (13.2)."""
    signed = b"tuf\x01" + hashlib.sha512(canonical(metadata["signed"])).digest()
    good = set()
    for signature in metadata["signatures"]:
        keyid = signature["keyid"]
        if keyid not in role["keyids"]:
            continue
        key = {name: keys[keyid][name] for name in ("keytype", "keyval", "scheme")}
        refuse_unless((key["keytype"], key["scheme"]) == ("ml-dsa", "ml-dsa-65/1"))
        refuse_unless(hashlib.sha256(canonical(key)).hexdigest() == keyid)
        public = load_pem_public_key(key["keyval"]["public"].encode())
        assert isinstance(public, MLDSA65PublicKey)
        try:
            public.verify(bytes.fromhex(signature["sig"]), signed)
        except InvalidSignature:
            continue
        good.add(keyid)
    refuse_unless(len(good) >= role["threshold"])


def listed(files: dict[str, bytes], name: str, meta: dict[str, Any]) -> dict[str, Any]:
    """Return the list that another one announces."""
    said = meta[f"{name}.json"]
    raw = files[f"metadata/{said['version']}.{name}.json"]
    refuse_unless((len(raw), hashlib.sha256(raw).hexdigest()) == (said["length"], said["hashes"]["sha256"]))
    found: dict[str, Any] = json.loads(raw)
    refuse_unless(found["signed"]["version"] == said["version"])
    return found


def document(files: dict[str, bytes], path: str, metadata: dict[str, Any]) -> dict[str, Any]:
    """Return a document that a list signs."""
    said = metadata["signed"]["targets"][path]
    folder, _, name = path.rpartition("/")
    raw = files["/".join(filter(None, ("targets", folder, f"{said['hashes']['sha256']}.{name}")))]
    refuse_unless((len(raw), hashlib.sha256(raw).hexdigest()) == (said["length"], said["hashes"]["sha256"]))
    found: dict[str, Any] = json.loads(raw)
    return found


def canonical(value: Any) -> bytes:
    """Return TUF's canonical JSON: names sorted, no white space, nothing but quote and backslash escaped."""
    if isinstance(value, dict):
        return b"{%b}" % b",".join(canonical(name) + b":" + canonical(value[name]) for name in sorted(value))
    if isinstance(value, list):
        return b"[%b]" % b",".join(map(canonical, value))
    if isinstance(value, str):
        return b'"%b"' % value.replace("\\", "\\\\").replace('"', '\\"').encode()
    return json.dumps(value).encode()


def thumbprint(jwk: dict[str, str]) -> str:
    """Return a key's id (7.1)."""
    raw = json.dumps(jwk, sort_keys=True, separators=(",", ":")).encode()
    return base64.urlsafe_b64encode(hashlib.sha256(raw).digest()).decode().rstrip("=")


def unb64(text: str) -> bytes:
    """Return the bytes of base64url."""
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


def refuse_unless(holds: bool) -> None:
    """Refuse.

    Raises:
        ValueError: it does not hold.
    """
    if not holds:
        raise ValueError("not as the specification says")
