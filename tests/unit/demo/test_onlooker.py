# SPDX-FileCopyrightText: The trm-broker authors
# SPDX-License-Identifier: Apache-2.0
"""The third country's attempts are real: the same attempts succeed for the one who may."""

from datetime import timedelta
from pathlib import Path

import pytest

from broker.core.ids import CountryCode, MessageId
from broker.core.messages import ProfileHeader
from broker.core.trust import KeyUse, TrustList
from broker.demo.client import DemoFailed
from broker.demo.onlooker import OPENED, _sum, try_to_open
from broker.home import generate_keys, member_of
from broker.security import sealing
from broker.system import SystemClock, SystemIds
from broker.vault import UNSAFE_DEV_KDF, FileVault

EE, FI, SE = map(CountryCode, ("EE", "FI", "SE"))
METRICS = """\
# TYPE trm_received_total counter
trm_received_total{peer="EE",type="family-tracing.request"} 2.0
trm_received_total{peer="FI",type="family-tracing.result"} 1.0
trm_received_created{peer="FI",type="family-tracing.result"} 1.7e+09
# TYPE trm_waiting gauge
trm_waiting{what="quarantine"} 4.0
trm_waiting{what="parked"} 0.0
# TYPE trm_repeated_total counter
trm_repeated_total 0.0
"""


@pytest.fixture
def sealed(tmp_path: Path) -> tuple[bytes, FileVault, FileVault]:
    """An envelope from EE to FI, with FI's and SE's opened vaults."""
    now, keys = SystemClock().now(), {country: generate_keys() for country in (EE, FI, SE)}
    members = {
        country: member_of(country, pair, now=now - timedelta(hours=1), authorities=(), messages={})
        for country, pair in keys.items()
    }
    vaults = {
        country: FileVault.create(tmp_path / country, b"secret", pair, us=country, kdf=UNSAFE_DEV_KDF)
        for country, pair in keys.items()
    }
    recipient = members[FI].key_for(KeyUse.HPKE, now)
    assert recipient is not None
    profile = ProfileHeader(
        sender=EE, recipient=FI, id=MessageId(SystemIds().message_id()), exercise=False,
        expires=int(now.timestamp()) + 3600,
    )  # fmt: skip
    signer = vaults[EE].signer(TrustList(version=1, members=members), now)
    envelope = sealing.seal(b"{}", profile=profile, signer=signer, recipient=recipient, trust_version=1)
    return envelope.raw, vaults[FI], vaults[SE]


def test_another_country_fails_at_every_way_to_open(sealed):
    """As addressed, by key id, and by force with its own key: each attempt has its own refusal."""
    raw, _, others = sealed

    assert try_to_open(raw, others, SE) == ("not-for-us", "unknown-recipient-key", "decrypt-failed")


def test_the_recipient_succeeds_at_the_same_attempts(sealed):
    """The attempts are no theatre: with the recipient's vault each of them opens."""
    raw, recipient, _ = sealed

    assert try_to_open(raw, recipient, FI) == (OPENED, OPENED, OPENED)


def test_counters_are_added_up():
    """All samples of a counter are added, those with a label alone where one is named."""
    assert _sum(METRICS, "trm_received_total") == 3
    assert _sum(METRICS, "trm_waiting", 'what="quarantine"') == 4
    assert _sum(METRICS, "trm_repeated_total") == 0


def test_a_counter_that_is_not_there_is_no_zero():
    """A node that counts no such thing proves nothing by its silence."""
    with pytest.raises(DemoFailed):
        _sum(METRICS, "trm_rejected_total")
