# SPDX-FileCopyrightText: The trm-broker authors
# SPDX-License-Identifier: Apache-2.0
"""The node's own issuer of tokens."""

from __future__ import annotations

import stat
from datetime import timedelta
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from broker.api.local_issuer import LONGEST, LocalIssuer
from broker.api.tokens import Role
from broker.core.errors import HomeInvalid, KeyMissing, Unauthenticated
from broker.core.ids import AuthorityId, CountryCode
from broker.testing.clock import HandClock

EE, FI = CountryCode("EE"), CountryCode("FI")
OFFICE = AuthorityId("social-insurance-board")
HOUR = timedelta(hours=1)


@pytest.fixture
def clock() -> HandClock:
    """The node's clock."""
    return HandClock()


async def test_issued_token_is_believed_after_a_restart(tmp_path: Path, clock: HandClock) -> None:
    """A token outlives the process: the key file is enough to verify it."""
    path = tmp_path / "token-key.pem"
    token = LocalIssuer.create(path, us=EE, clock=clock).issue("officer-17", Role.OFFICER, OFFICE, HOUR)
    principal = await LocalIssuer.load(path, us=EE, clock=clock).verify(token)

    assert (principal.subject, principal.role, principal.authority) == ("officer-17", Role.OFFICER, OFFICE)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


async def test_token_ends(tmp_path: Path, clock: HandClock) -> None:
    """After its lifetime and the leeway a token is worth nothing."""
    issuer = LocalIssuer.create(tmp_path / "key", us=EE, clock=clock)
    token = issuer.issue("officer-17", Role.OFFICER, OFFICE, HOUR)
    clock.advance(3600 + 31)

    with pytest.raises(Unauthenticated, match="expired"):
        await issuer.verify(token)


@pytest.mark.parametrize("role", Role)
def test_lifetime_is_bounded_by_role(tmp_path: Path, clock: HandClock, role: Role) -> None:
    """No role gets a token longer than its longest, or none at all."""
    issuer = LocalIssuer.create(tmp_path / "key", us=EE, clock=clock)

    assert issuer.issue("officer-17", role, OFFICE, LONGEST[role])
    for lifetime in (LONGEST[role] + timedelta(seconds=1), timedelta(0), -HOUR):
        with pytest.raises(RuntimeError):
            issuer.issue("officer-17", role, OFFICE, lifetime)


async def test_other_nodes_token_is_refused(tmp_path: Path, clock: HandClock) -> None:
    """A token of another node proves nothing here, nor does one for another audience under the same key."""
    ours = LocalIssuer.create(tmp_path / "ours", us=EE, clock=clock)
    theirs = LocalIssuer.create(tmp_path / "theirs", us=EE, clock=clock)
    renamed = LocalIssuer.load(tmp_path / "ours", us=FI, clock=clock)
    elsewhere = LocalIssuer.load(tmp_path / "ours", us=EE, clock=clock, audience="console")

    for other in (theirs, renamed, elsewhere):
        with pytest.raises(Unauthenticated):
            await ours.verify(other.issue("officer-17", Role.OFFICER, OFFICE, HOUR))


def test_existing_key_is_never_overwritten(tmp_path: Path, clock: HandClock) -> None:
    """Making the key twice is refused and the first one stays."""
    path = tmp_path / "key"
    LocalIssuer.create(path, us=EE, clock=clock)
    before = path.read_bytes()

    with pytest.raises(HomeInvalid):
        LocalIssuer.create(path, us=EE, clock=clock)
    with pytest.raises(HomeInvalid):
        LocalIssuer.create(tmp_path / "missing" / "key", us=EE, clock=clock)
    assert path.read_bytes() == before


def test_unusable_key_files_are_named_not_shown(tmp_path: Path, clock: HandClock) -> None:
    """A missing, open, broken or foreign key file gives one clear sentence without its content or folder."""
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    files = {
        "broken": b"-----BEGIN " + b"PRIVATE KEY-----\nsecret\n-----END " + b"PRIVATE KEY-----\n",
        "foreign": key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()),
    }
    for name, content in files.items():
        (tmp_path / name).write_bytes(content)
        (tmp_path / name).chmod(0o600)
    LocalIssuer.create(tmp_path / "open", us=EE, clock=clock)
    (tmp_path / "open").chmod(0o640)
    (tmp_path / "folder").mkdir(mode=0o700)

    with pytest.raises(KeyMissing):
        LocalIssuer.load(tmp_path / "missing", us=EE, clock=clock)
    for name in ("broken", "foreign", "open", "folder"):
        with pytest.raises(HomeInvalid) as refusal:
            LocalIssuer.load(tmp_path / name, us=EE, clock=clock)
        assert refusal.value.where == name
        assert "secret" not in str(refusal.value)
        assert str(tmp_path) not in str(refusal.value)
