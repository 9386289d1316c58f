# SPDX-FileCopyrightText: The trm-broker authors
# SPDX-License-Identifier: Apache-2.0
"""Keys rotate and one is revoked while messages flow: by final outcome nothing is lost, refused or wrongly believed.

Lists reach the countries at different times, envelopes travel slowly and out of order, and the vaults are files that change
beside the running nodes. ``TRM_TEST_ROTATION_MESSAGES`` makes the runs longer than everyday ones.
"""

from __future__ import annotations

import os
import random
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from broker.core.ids import AuthorityId, CountryCode, KeyId, MessageId, ProcedureId
from broker.core.messages import Party
from broker.core.rotation import PublicKey, rotated
from broker.core.trust import LONGEST_ENVELOPE_LIFE, KeyUse, Member
from broker.home import generate_keys
from broker.rows import MessageFilter, OutboxState
from broker.security.suite import Signer
from broker.testing.hostile import Hostile
from broker.testing.world import Country, World
from broker.vault import UNSAFE_DEV_KDF, Entry, FileVault, PassphraseWrapper, VaultFile

SIDES = ("EE", "FI")
OFFICES = {"EE": AuthorityId("social-insurance-board"), "FI": AuthorityId("helsinki-wellbeing-services")}
OVERLAP = timedelta(hours=1)
MESSAGES = int(os.environ.get("TRM_TEST_ROTATION_MESSAGES", "120"))
ANSWERED_AT_MOST = 40  # of the newest requests
NEVER = datetime.max.replace(tzinfo=UTC)


@dataclass
class Run:
    """Casework between two countries whose keys change, from one seed."""

    world: World
    folder: Path
    seed: int
    accepted: dict[str, set[MessageId]] = field(default_factory=lambda: {name: set() for name in SIDES})
    acknowledged: set[ProcedureId] = field(default_factory=set)
    revoked: dict[KeyId, datetime] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.random = random.Random(self.seed)
        for name in SIDES:
            country = self.world[name]
            vault = FileVault.create(self._vault(name), b"test", country.keys, us=country.us, kdf=UNSAFE_DEV_KDF)
            country.engine.dispatch._vault = country.engine.receive._vault = vault

    def _vault(self, name: str) -> Path:
        return self.folder / f"{name}.vault"

    async def work(self, messages: int) -> None:
        """Submit so many messages and let everything move, slowly."""
        for _ in range(messages):
            name = self.random.choice(SIDES)
            if self.random.random() < 0.6 or not await self._acknowledge(name):
                await self._request(name)
            for side in SIDES:
                await self._move(self.world[side])
            self.world.clock.advance(self.random.uniform(5, 90))

    async def _request(self, name: str) -> None:
        peer = CountryCode("FI" if name == "EE" else "EE")
        changes: dict[str, Any] = {"recipient": Party(country=peer, authority=OFFICES[peer])}
        made = await self.world[name].submit("request.json", sender_authority=OFFICES[name], **changes)
        self.accepted[name].add(made.message)

    async def _acknowledge(self, name: str) -> bool:
        """Answer a request that came in; return whether there was one."""
        wanted = MessageFilter(direction="in", type="family-tracing.request")
        page = await self.world[name].store.read(
            lambda reader: reader.messages(wanted, cursor=None, limit=ANSWERED_AT_MOST)
        )
        waiting = [row for row in page.items if row.header.procedure.id not in self.acknowledged]
        if not waiting:
            return False
        row = self.random.choice(waiting)
        self.acknowledged.add(row.header.procedure.id)
        made = await self.world[name].submit(
            "acknowledgement.json", procedure=row.header.procedure.id,
            sender_authority=OFFICES[name], recipient=row.header.sender,
        )  # fmt: skip
        self.accepted[name].add(made.message)
        return True

    async def _move(self, country: Country) -> None:
        """Let a country send; sometimes it takes some of what waits, in any order, and looks at its clock and list."""
        await country.engine.dispatch()
        if self.random.random() < 0.15:
            waiting = list(self.world.network.waiting[country.us])
            self.random.shuffle(waiting)
            for delivery in waiting[: self.random.randint(0, len(waiting) + 1)]:
                country.outcomes.append(await country.engine.receive(delivery))
                await country.transport.done(delivery)
            await country.engine.deliver()
        if self.random.random() < 0.3:
            await country.engine.watch()
        if self.random.random() < 0.02 or "unknown-key" in country.outcomes[-5:]:  # in a node, an unknown key rings
            await self._look_at_list(country)

    async def _look_at_list(self, country: Country) -> None:
        await country.engine.refresh_trust()
        await country.offer_parked()

    async def rotate(self, name: str) -> None:
        """Put new keys of every use into the vault file and publish a list with them; the peer learns of it later."""
        now = self.world.clock.now().replace(microsecond=0)
        made = [Entry.of(key, created=now) for key in generate_keys()]
        VaultFile(self._vault(name), PassphraseWrapper(b"test")).change(lambda entries: (*entries, *made))
        fresh = [PublicKey(kid=entry.kid, use=entry.use, public=entry.key.public) for entry in made]
        self._publish(name, lambda old: rotated(old, fresh, start=now, overlap=OVERLAP, life=LONGEST_ENVELOPE_LIFE))
        self.world.clock.advance(61)
        await self.world[name].engine.refresh_trust()

    async def revoke(self, name: str, use: KeyUse) -> Signer:
        """Revoke the key in use while messages are under way; return what a thief of the old keys signs with."""
        country = self.world[name]
        for _ in range(5):
            await self._request(name)
        await country.engine.dispatch()
        now = self.world.clock.now()
        stolen = country.engine.dispatch._vault.signer(country.trust.current(), now)
        key = country.trust.newest.members[country.us].key_for(use, now)
        assert key is not None
        self.revoked[key.kid] = now
        self._publish(
            name,
            lambda old: replace(
                old, keys=tuple(replace(one, revoked_at=now) if one.kid == key.kid else one for one in old.keys)
            ),
        )
        self.world.clock.advance(61)
        for side in SIDES:
            await self.world[side].engine.refresh_trust()
        return stolen

    def _publish(self, name: str, change: Callable[[Member], Member]) -> None:
        self.world.set_trust(lambda member: change(member) if member.country == name else member)

    async def calm(self) -> None:
        """Everything arrives; further messages show what was lost before them."""
        for _ in range(6):
            self.world.clock.advance(400)
            for name in SIDES:
                await self._look_at_list(self.world[name])
                await self._request(name)
            await self.world.settle()
            for name in SIDES:
                await self.world[name].engine.watch()
            await self.world.settle()

    async def outcome(self) -> Counter[str]:
        """Count what is lost, refused, unproven, twice there, or believed from a revoked key after its time."""
        wrong: Counter[str] = Counter()
        for name, peer in (("EE", "FI"), ("FI", "EE")):
            sender, receiver = self.world[name], self.world[peer]
            for message in self.accepted[name]:
                row = await sender.store.run(lambda tx, message=message: tx.outbox(message))
                held = await receiver.store.run(lambda tx, message=message, us=sender.us: tx.inbox(us, message))
                wrong["refused"] += row is None or row.state is OutboxState.REFUSED
                wrong["unproven"] += row is None or row.delivered is None
                wrong["lost"] += held is None
                if held is not None:
                    wrong["revoked"] += any(
                        held.entry.received >= self.revoked.get(kid, NEVER) for kid in held.entry.signer_kids
                    )
            count = (await receiver.counts())["inbox.handed-over"]
            wrong["twice"] += count - len(self.accepted[name])
        return +wrong


@pytest.mark.parametrize("use", list(KeyUse))
async def test_rotation_and_revocation_under_load(tmp_path: Path, use: KeyUse) -> None:
    """Both keys of both sides rotate twice and one is revoked: 0 lost, 0 refused, 0 believed from it after its time."""
    async with World.create(tmp_path, SIDES) as world:
        run = Run(world, tmp_path, seed=5)
        share = MESSAGES // 6
        for name in ("EE", "FI"):
            await run.work(share)
            await run.rotate(name)
        await run.work(share)
        stolen = await run.revoke(
            "EE", use
        )  # the key before it may have ended by now: then nothing goes until the next
        await run.work(share)
        if use is not KeyUse.HPKE:
            hostile = Hostile(world["EE"], world["FI"])
            forged = hostile.seal(hostile.message("request.json"), signer=stolen)
            assert await world["FI"].engine.receive(forged) == "key-revoked"
        for name in ("EE", "FI"):
            await run.rotate(name)
            await run.work(share)
        await run.calm()

        assert await run.outcome() == {}
        assert sum(map(len, run.accepted.values())) >= MESSAGES
        signers = {kid for envelope in world.network.published for kid in envelope.signer_kids}
        assert len(signers) == 2 * 2 * 3  # both keys of both sides, the first and two after it
        if use is not KeyUse.HPKE:
            assert "key-revoked" in world["FI"].outcomes  # what was under way when its key was revoked
        for country in world.countries.values():
            assert set(await country.attention()) <= {"quarantined"}
        assert "unknown-key" in world["FI"].outcomes + world["EE"].outcomes


async def test_a_key_that_is_not_known_yet_waits_for_the_list(tmp_path: Path) -> None:
    """A message under a new key is parked, unseen, and taken as soon as the newer list comes; nobody resends."""
    async with World.create(tmp_path, SIDES) as world:
        run = Run(world, tmp_path, seed=1)
        await run.rotate("EE")
        await run._request("EE")
        await world.settle()
        assert world["FI"].outcomes == ["unknown-key"]
        assert (await world["FI"].counts())["parked"] == 1

        await run._look_at_list(world["FI"])
        await world.settle()

        assert await run.outcome() == {}
        assert world["FI"].outcomes == ["unknown-key", "recorded"]
        assert (await world["FI"].counts())["parked"] == 0
        assert sum(envelope.sender == "EE" for envelope in world.network.published) == 1


async def test_old_messages_stay_verifiable_as_of_their_day(tmp_path: Path) -> None:
    """What was believed keeps the keys, list version and time it was judged by, after rotation and revocation."""
    async with World.create(tmp_path, SIDES) as world:
        run = Run(world, tmp_path, seed=1)
        await run._request("EE")
        await world.settle()
        (message,) = run.accepted["EE"]
        before = await world["FI"].store.run(lambda tx: tx.inbox(CountryCode("EE"), message))
        first = world["EE"].trust.current().members[CountryCode("EE")].keys
        await run.rotate("EE")
        await run.revoke("EE", KeyUse.ED25519)
        await run.calm()
        after = await world["FI"].store.run(lambda tx: tx.inbox(CountryCode("EE"), message))

        assert before is not None
        assert after == before
        assert before.entry.signer_kids == (first[0].kid, first[1].kid)
        assert (before.entry.trust_version, before.entry.received) == (1, before.entry.received.astimezone(UTC))
        assert await run.outcome() == {}


async def test_what_a_stale_country_seals_to_a_destroyed_key_is_sealed_anew(tmp_path: Path) -> None:
    """A list older than the whole overlap costs time and no message: with the next list everything arrives."""
    async with World.create(tmp_path, SIDES) as world:
        run = Run(world, tmp_path, seed=1)
        listed = world["FI"].trust.current().members[CountryCode("FI")].keys
        old = {key.kid for key in listed if key.use is KeyUse.HPKE}
        await run.rotate("FI")
        world.clock.advance((OVERLAP + LONGEST_ENVELOPE_LIFE).total_seconds())
        VaultFile(run._vault("FI"), PassphraseWrapper(b"test")).change(
            lambda entries: tuple(entry for entry in entries if entry.id not in old)
        )
        await run._request("EE")
        await world.settle()
        assert world["FI"].outcomes == ["unknown-recipient-key"]
        assert (await world["FI"].counts())["quarantine"] == 1

        await run._look_at_list(world["EE"])
        await world.settle()
        assert world["FI"].outcomes == ["unknown-recipient-key", "recorded"]
        assert await run.outcome() == {}
