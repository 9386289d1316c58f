# SPDX-FileCopyrightText: The trm-broker authors
# SPDX-License-Identifier: Apache-2.0
"""A home's own keys over vault, public document and trust list: what stands where, and how it is changed.

- The vault is written first, then the document: interrupted in between, the next rotation takes what the vault has ready.
- What may be destroyed is judged by the later of document and trust list: peers go by the list they have.
- Nothing here needs a network or a running node.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta

from broker.core.authority_keys import keeping_authority_keys, with_revocation
from broker.core.errors import BadRequest
from broker.core.ids import KeyId
from broker.core.rotation import KeyPlace, KeyStep, PublicKey, may_destroy, next_step, replaced, rotated
from broker.core.trust import LONGEST_ENVELOPE_LIFE, KeyUse, Member, MemberKey
from broker.home import new_key, read_own_member, write_own_member
from broker.settings import Settings
from broker.vault import AT_REST, Entry, VaultFile, Wrapper

__all__ = ["ENCRYPTION", "SIGNING", "OwnKeys", "Standing"]

SIGNING = (KeyUse.ED25519, KeyUse.ML_DSA_65)  # rotated together: every message carries both signatures
ENCRYPTION = (KeyUse.HPKE,)


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """Everything that is known about one key."""

    kid: KeyId
    use: KeyUse
    public: bytes | None  # None: destroyed and listed nowhere
    created: datetime | None
    destroyed: datetime | None
    listed: MemberKey | None  # as the trust list has it, else as the document has it
    places: frozenset[KeyPlace]
    step: KeyStep

    @property
    def revoked(self) -> bool:
        """Whether the trust list, or the document before it, has it revoked."""
        return self.listed is not None and self.listed.revoked_at is not None


class OwnKeys:
    """The keys of one home; every method reads what stands there now."""

    def __init__(self, settings: Settings, wrapper: Wrapper, *, listed: Member | None) -> None:
        """Args:
        settings: where the home is.
        wrapper: what opens its vault.
        listed: our entry in the trust list in force; None: there is none at hand, as on a machine without connection.
        """
        self._settings = settings
        self._listed = listed
        self._vault = VaultFile(settings.vault_file, wrapper)

    def standing(self, now: datetime) -> tuple[Standing, ...]:
        """Return every key of vault, document and trust list, by use and beginning.

        Raises:
            NodeError: vault or document cannot be read.
        """
        return self._standing(self._vault.read().entries, now)

    def generate(self, uses: Iterable[KeyUse], now: datetime) -> tuple[Entry, ...]:
        """Put one new key of each use into the vault, listed nowhere yet; return their entries.

        Raises:
            NodeError: the vault cannot be read or written; nothing has changed.
        """
        made = tuple(Entry.of(new_key(use), created=_whole(now)) for use in uses)
        self._vault.change(lambda held: (*held, *made))
        return made

    def at_rest(self) -> tuple[Entry, ...]:
        """Return the vault's keys for data at rest, with the marks of destroyed ones.

        Raises:
            NodeError: the vault cannot be read.
        """
        return tuple(entry for entry in self._vault.read().entries if entry.kind in AT_REST)

    def generate_at_rest(self, now: datetime) -> tuple[Entry, ...]:
        """Give a vault of an older program its first keys for data at rest; return their entries.

        Raises:
            BadRequest: it has them already.
            NodeError: the vault cannot be read or written; nothing has changed.
        """
        made: list[Entry] = []

        def add(held: tuple[Entry, ...]) -> tuple[Entry, ...]:
            there = {entry.kind for entry in held}
            made.extend(Entry.at_rest(kind, 1, created=_whole(now)) for kind in AT_REST if kind not in there)
            if not made:
                raise BadRequest("The vault has keys for data at rest: rotating makes the next one.", where="--which")
            return (*held, *made)

        self._vault.change(add)
        return tuple(made)

    def rotate(self, uses: Collection[KeyUse], *, start: datetime, overlap: timedelta, now: datetime) -> Member:
        """List a key of each use from `start` on and let the older ones end; return the document as written.

        A key that the vault has ready is taken, else one is made.

        Raises:
            BadRequest: an earlier rotation was not published yet.
            NodeError: vault or document cannot be read or written.
        """
        member = self._current_document()
        self._refuse_unpublished(member, uses)
        found = self._standing(self._vault.read().entries, now)
        ready = {item.use: item for item in found if item.places == {KeyPlace.VAULT} and item.use in uses}
        made = self.generate([use for use in uses if use not in ready], now)
        fresh = [_public(item) for item in ready.values()]
        fresh += [PublicKey(kid=entry.kid, use=entry.use, public=entry.key.public) for entry in made]
        changed = rotated(member, fresh, start=_whole(start), overlap=overlap, life=LONGEST_ENVELOPE_LIFE)
        write_own_member(self._settings.home, changed)
        return changed

    def replace_stolen(self, uses: Collection[KeyUse], *, since: datetime, now: datetime) -> Member:
        """List a new key of each use from now on and revoke all others of it; return the document as written.

        For a vault that somebody else may have had: nothing that it holds is used again, not even keys that it has ready,
        and no earlier rotation has to be published before.

        Args:
            uses: the uses whose keys are replaced.
            since: from when the others count no more.
            now: the current time; the new keys begin.

        Raises:
            NodeError: vault or document cannot be read or written.
        """
        member = self._current_document()
        ready = [item for item in self._standing(self._vault.read().entries, now) if item.places == {KeyPlace.VAULT}]
        stolen = [_public(item) for item in ready if item.use in uses]
        fresh = [PublicKey(kid=entry.kid, use=entry.use, public=entry.key.public) for entry in self.generate(uses, now)]
        changed = replaced(
            member, fresh, stolen=stolen, start=_whole(now), since=_whole(since), life=LONGEST_ENVELOPE_LIFE
        )
        write_own_member(self._settings.home, changed)
        return changed

    def due(self, now: datetime) -> tuple[Standing, ...]:
        """Return the keys whose private part is needed no more.

        Raises:
            NodeError: vault or document cannot be read.
        """
        return tuple(item for item in self.standing(now) if self._is_due(item, now))

    def _is_due(self, item: Standing, now: datetime) -> bool:
        here = KeyPlace.VAULT in item.places and self._listed is not None  # others go by the list, not by our document
        return here and item.listed is not None and may_destroy(item.listed, now)

    def check_retire(self, kids: Collection[KeyId], *, now: datetime, forced: bool = False) -> None:
        """Refuse what `retire` would refuse, before anybody is asked for words.

        Raises:
            BadRequest: a key is not held here or still needed.
            NodeError: vault or document cannot be read.
        """
        self._refuse_all_needed(kids, self._vault.read().entries, now, forced=forced)

    def retire(self, kids: Collection[KeyId], *, now: datetime, forced: bool = False) -> tuple[Entry, ...]:
        """Destroy the private parts of these keys for good; return the marks that stay.

        Args:
            kids: keys that are due; with `forced` also revoked ones, and ones that are listed nowhere.
            now: the current time.
            forced: somebody said in words that what is sealed to a key may be lost.

        Raises:
            BadRequest: a key is not held here or still needed; nothing was destroyed.
            NodeError: vault or document cannot be read, or the vault not be written.
        """
        destroyed: list[Entry] = []

        def edit(held: tuple[Entry, ...]) -> list[Entry]:
            self._refuse_all_needed(kids, held, now, forced=forced)
            after = [entry.without_material(now) if entry.id in kids else entry for entry in held]
            destroyed.extend(entry for entry in after if entry.id in kids)
            return after

        self._vault.change(edit)
        return tuple(destroyed)

    def rewrap(self, wrapper: Wrapper) -> None:
        """Put the vault under another passphrase or HSM key; what opened it before does not any more.

        Raises:
            NodeError: the vault does not open, or not under the new wrapper; nothing has changed.
        """
        self._vault.change(lambda held: held, wrapper=wrapper)

    def _refuse_all_needed(
        self, kids: Collection[KeyId], held: Iterable[Entry], now: datetime, *, forced: bool
    ) -> None:
        standing = {item.kid: item for item in self._standing(held, now)}
        for kid in kids:
            self._refuse_needed(standing.get(kid), now, forced=forced)

    def _refuse_needed(self, item: Standing | None, now: datetime, *, forced: bool) -> None:
        if item is None or KeyPlace.VAULT not in item.places:
            raise BadRequest("The vault does not hold a key of that id.", where="--key")
        if self._is_due(item, now) or (forced and (item.revoked or item.listed is None)):
            return
        if self._listed is None:
            raise BadRequest("No trust list at hand names this country: what may be destroyed is judged by it.")
        if item.listed is None:
            raise BadRequest("The key is listed nowhere: it may be one that is about to be listed.", where=item.kid)
        if item.revoked:
            raise BadRequest("The key is revoked, but envelopes to it may still be on their way.", where=item.kid)
        until = item.listed.accept_until if item.use is KeyUse.HPKE else item.listed.sign_until
        raise BadRequest(f"The key is needed until {until:%Y-%m-%d %H:%M} UTC; revoke it first.", where=item.kid)

    def _refuse_unpublished(self, member: Member, uses: Collection[KeyUse]) -> None:
        listed = self._listed
        known = {key.kid for key in listed.keys} if listed is not None else None
        if known is not None and any(key.use in uses and key.kid not in known for key in member.keys):
            raise BadRequest(
                "The document lists keys that the trust list does not have yet: have it signed and published first.",
                where=str(self._settings.home),
            )

    def _current_document(self) -> Member:
        """Return the document, with what the trust list knows and it does not: further keys, and revocations."""
        member, listed = read_own_member(self._settings.home, self._settings.country), self._listed
        if listed is None:
            return member
        in_force = {key.kid: key for key in listed.keys}
        keys = [with_revocation(key, in_force.pop(key.kid, None)) for key in member.keys]
        return keeping_authority_keys(replace(member, keys=(*keys, *in_force.values())), listed)

    def _standing(self, entries: Iterable[Entry], now: datetime) -> tuple[Standing, ...]:
        member, listed = read_own_member(self._settings.home, self._settings.country), self._listed
        document = {key.kid: key for key in member.keys}
        in_force = {key.kid: key for key in listed.keys} if listed is not None else {}
        held = {entry.kid: entry for entry in entries if entry.kind not in AT_REST}
        validity = {kid: _later(document.get(kid), in_force.get(kid)) for kid in (*document, *in_force)}
        found = []
        for kid in dict.fromkeys((*held, *validity)):
            entry, key = held.get(kid), validity.get(kid)
            places = frozenset(
                place
                for place, here in (
                    (KeyPlace.VAULT, entry is not None and entry.material is not None),
                    (KeyPlace.DOCUMENT, kid in document),
                    (KeyPlace.TRUST_LIST, kid in in_force),
                )
                if here
            )
            unpublished = _unpublished(document.get(kid), in_force.get(kid))
            found.append(_standing_of(kid, entry, key, places, validity.values(), now, unpublished=unpublished))
        return tuple(sorted(found, key=_order))


def _standing_of(
    kid: KeyId,
    entry: Entry | None,
    key: MemberKey | None,
    places: frozenset[KeyPlace],
    all_keys: Collection[MemberKey],
    now: datetime,
    *,
    unpublished: bool,
) -> Standing:
    use = key.use if key is not None else entry.use if entry is not None else None
    if use is None:
        raise RuntimeError("a key stands somewhere")
    held = entry.key.public if entry is not None and entry.material is not None else None
    followed = key is not None and any(other.use is use and other.sign_until > key.sign_until for other in all_keys)
    destroyed = entry.destroyed if entry is not None else None
    return Standing(
        kid=kid,
        use=use,
        public=key.public if key is not None else held,
        created=entry.created if entry is not None else None,
        destroyed=destroyed,
        listed=key,
        places=places,
        step=next_step(
            key, places, destroyed=destroyed is not None, followed=followed, now=now, unpublished=unpublished
        ),
    )


def _public(item: Standing) -> PublicKey:
    return PublicKey(kid=item.kid, use=item.use, public=item.public or b"")


def _order(item: Standing) -> tuple[int, datetime]:
    begins = item.listed.not_before if item.listed is not None else item.created
    return list(KeyUse).index(item.use), begins or datetime.min.replace(tzinfo=UTC)


def _later(document: MemberKey | None, in_force: MemberKey | None) -> MemberKey:
    """Return the key as it is valid longest; revoked is what the trust list has revoked."""
    key = in_force or document
    if key is None:
        raise RuntimeError("a key is listed somewhere")
    if document is None or in_force is None:
        return key
    return replace(
        key,
        sign_until=max(document.sign_until, in_force.sign_until),
        accept_until=max(document.accept_until, in_force.accept_until),
    )


def _unpublished(document: MemberKey | None, in_force: MemberKey | None) -> bool:
    """Whether the document revokes a key that the trust list does not revoke, or only later."""
    if document is None or in_force is None or document.revoked_at is None:
        return False
    return in_force.revoked_at is None or document.revoked_at < in_force.revoked_at


def _whole(moment: datetime) -> datetime:
    return moment.replace(microsecond=0)
