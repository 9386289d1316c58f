# SPDX-FileCopyrightText: The trm-broker authors
# SPDX-License-Identifier: Apache-2.0
"""Facts about the file in which an office offers its public keys."""

from __future__ import annotations

import json
from typing import Any

import pytest

from broker.core.errors import TrustListInvalid
from broker.core.ids import AuthorityId, CountryCode
from broker.core.messages import Party
from broker.core.rotation import PublicKey
from broker.core.trust import KeyUse
from broker.security import jwk
from broker.trust.authority_key_documents import OfferedKeys, read_offered, write_offered

OWNER = Party(country=CountryCode("FI"), authority=AuthorityId("desk"))


def made(use: KeyUse = KeyUse.HPKE) -> PublicKey:
    """Return a new public key."""
    public = jwk.generate(use)[1]
    return PublicKey(kid=jwk.thumbprint(use, public), use=use, public=public)


def test_what_is_offered_reads_back() -> None:
    """Whose they are and every key; nothing of it is secret."""
    keys = (made(), made())
    raw = write_offered(OWNER, keys)
    assert read_offered(raw, where="here") == OfferedKeys(owner=OWNER, keys=keys)
    assert b"priv" not in raw


@pytest.mark.parametrize(
    ("change", "where"),
    [
        ({"format": "trm-authority-keys/2"}, "here: /format"),
        ({"country": "UK"}, "here: /country"),
        ({"authority": "The Desk"}, "here: /authority"),
        ({"keys": [jwk.public_jwk(KeyUse.ED25519, made(KeyUse.ED25519).public)]}, "here: /keys/0"),
        ({"keys": [{"kty": "AKP"}]}, "here: /keys/0"),
        ({"more": 1}, "here: /more"),
    ],
)
def test_another_form_is_refused_with_its_place(change: dict[str, Any], where: str) -> None:
    """An office offers encryption keys, and nothing else."""
    data = {**json.loads(write_offered(OWNER, [made()])), **change}
    with pytest.raises(TrustListInvalid) as caught:
        read_offered(json.dumps(data).encode(), where="here")
    assert caught.value.where == where


def test_a_key_twice_is_refused() -> None:
    """Nobody knows which of the two was meant."""
    key = made()
    with pytest.raises(TrustListInvalid):
        read_offered(write_offered(OWNER, [key, key]), where="here")
