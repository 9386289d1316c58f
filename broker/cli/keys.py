# SPDX-FileCopyrightText: The trm-broker authors
# SPDX-License-Identifier: Apache-2.0
"""The work of `trm keys`: read and change this node's own keys, with plain words before anything is destroyed."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from broker.cli import output
from broker.cli.input import overlap_of, parsed, read_theft, read_time
from broker.cli.new_passphrase import new_passphrase
from broker.core.errors import BadRequest, TrustListInvalid
from broker.core.ids import KeyId
from broker.core.rotation import KeyPlace
from broker.core.trust import KeyUse, Member
from broker.durable import write_durably
from broker.home import MEMBER_FILE
from broker.own_keys import ENCRYPTION, SIGNING, OwnKeys, Standing
from broker.security import jwk
from broker.settings import Settings
from broker.system import SystemClock
from broker.trust.opening import trust_in_force
from broker.trust.strict import time_text
from broker.vault import Entry, PassphraseWrapper, Unlocking, Wrapper
from broker.vault.hsm import HsmWrapper, checked_library
from broker.vault.passphrase import read_source

__all__ = ["WRAPPING", "export_public", "generate", "list_keys", "retire", "rewrap", "rotate"]

_WHICH = {"signing": SIGNING, "encryption": ENCRYPTION, "all": (*SIGNING, *ENCRYPTION)}
WRAPPING = "wrapping"  # the key for data at rest: this node's alone, listed nowhere
_DEFAULT_LEAD = timedelta(days=1)
_HOUR = timedelta(hours=1)


def list_keys(home: Path, *, as_json: bool) -> None:
    """Print every key."""
    own = _own(home)
    found, at_rest = own.standing(_now()), own.at_rest()

    def people() -> None:
        _table(found)
        _at_rest_table(at_rest)

    document = {"keys": [_document(item) for item in found], "at_rest": [_at_rest_document(item) for item in at_rest]}
    output.answer(document, as_json=as_json, people=people)


def generate(home: Path, *, which: str, as_json: bool) -> None:
    """Put new keys into the vault and print their ids."""
    if which == WRAPPING:
        _generate_at_rest(home, as_json=as_json)
        return
    made = _own(home).generate(_uses(which), _now())
    keys = [{"use": entry.use.value, "id": entry.id} for entry in made]

    def people() -> None:
        for entry in made:
            output.console().print(f"In the vault: {entry.use:<10} {entry.id}")
        output.console().print(f"They are listed nowhere yet. Next: trm keys rotate --home {output.word(home)}")

    output.answer({"generated": keys}, as_json=as_json, people=people)


def _generate_at_rest(home: Path, *, as_json: bool) -> None:
    made = _own(home).generate_at_rest(_now())

    def people() -> None:
        for entry in made:
            output.console().print(f"In the vault: {entry.kind:<10} {entry.id}")
        output.console().print("Back up the vault: what the node stores from now on is read with these keys alone.")

    output.answer({"generated": [_at_rest_document(entry) for entry in made]}, as_json=as_json, people=people)


def rotate(
    home: Path, *, which: str, start: str | None, overlap_hours: int | None, stolen_since: str | None, as_json: bool
) -> None:
    """List the next keys in the document and print what becomes of each key.

    Raises:
        BadRequest: a time is not one, or an earlier rotation was not published yet.
    """
    if stolen_since is not None:
        alone = start is None and overlap_hours is None and which != WRAPPING
        _replace(home, which=which, since=read_theft(stolen_since, _now(), alone=alone), as_json=as_json)
        return
    if which == WRAPPING:
        from broker.cli.epochs import next_epoch

        next_epoch(home, as_json=as_json)
        return
    now, own = _now(), _own(home)
    begin, overlap = _start(start, now), overlap_of(overlap_hours)
    own.rotate(_uses(which), start=begin, overlap=overlap, now=now)
    _tell_next(
        home, own, begin, now,
        f"The new keys begin at {time_text(begin)}; the old ones are used for {overlap // _HOUR} hours beside them.",
        as_json=as_json,
    )  # fmt: skip


def _replace(home: Path, *, which: str, since: datetime, as_json: bool) -> None:
    now, own = _now(), _own(home)
    own.replace_stolen(_uses(which), since=since, now=now)
    _tell_next(
        home, own, now, now,
        f"The new keys begin now; all others of their use are revoked from {time_text(since)} on, "
        f"those too that were to begin later.",
        as_json=as_json,
    )  # fmt: skip


def _tell_next(home: Path, own: OwnKeys, begin: datetime, now: datetime, said: str, *, as_json: bool) -> None:
    file = home.absolute() / MEMBER_FILE
    found = [item for item in own.standing(now) if KeyPlace.DOCUMENT in item.places]

    def people() -> None:
        _table(found)
        output.console().print(
            f"{said}\n"
            f"Nothing changes for other countries yet. Next:\n"
            f"  1. Let the member's officers sign {file} (public), and have it published.\n"
            f"  2. Back up the vault: the old backup does not hold the new keys.\n"
            f"  3. trm keys list --home {output.word(home)}"
        )

    document = {"begins": time_text(begin), "document": str(file), "keys": [_document(item) for item in found]}
    output.answer(document, as_json=as_json, people=people)


def export_public(home: Path, *, out: Path | None, as_json: bool) -> None:
    """Write the public parts of what the vault holds."""
    settings = Settings.load(home)
    held = [item for item in _own(home).standing(_now()) if KeyPlace.VAULT in item.places]
    keys = [{"id": item.kid, "jwk": jwk.public_jwk(item.use, item.public)} for item in held if item.public is not None]
    document: dict[str, Any] = {"country": str(settings.country), "keys": keys}
    text = json.dumps(document, indent=2) + "\n"
    if out is None:
        sys.stdout.write(text)
        return
    write_durably(out, text.encode("ascii"), mode=0o644)
    output.answer(
        {"file": str(out.absolute()), "keys": len(keys)},
        as_json=as_json,
        people=lambda: output.console().print(f"{len(keys)} public keys are in {out.absolute()}."),
    )


def retire(home: Path, keys: Sequence[str], *, force: bool, words: str | None, as_json: bool) -> None:
    """Destroy keys once the words were said.

    Raises:
        BadRequest: a key is still needed, or the words were not said; nothing was destroyed.
    """
    own, now = _own(home), _now()
    kids = [parsed(KeyId, text, "--key") for text in keys] or [item.kid for item in own.due(now)]
    if kids:
        own.check_retire(kids, now=now, forced=force)
        _ask(kids, words, forced=force, as_json=as_json)
    destroyed = own.retire(kids, now=now, forced=force) if kids else ()

    def people() -> None:
        for entry in destroyed:
            output.console().print(f"Destroyed: {entry.use:<10} {entry.id}")
        output.console().print(
            "Copies of the vault in backups still hold what was destroyed: destroy those too." if destroyed
            else "Nothing to destroy: every key that is here is still needed. 'trm keys list' shows until when."
        )  # fmt: skip

    document = {"destroyed": [{"use": entry.use.value, "id": entry.id} for entry in destroyed]}
    output.answer(document, as_json=as_json, people=people)


def _ask(kids: Sequence[KeyId], words: str | None, *, forced: bool, as_json: bool) -> None:
    wanted = f"destroy {len(kids)} {'key' if len(kids) == 1 else 'keys'}" + (
        " and what is sealed to it" if forced else ""
    )
    told = output.console(stderr=True)
    if not as_json:
        told.print("These private keys will be destroyed for good. No backup of this program brings them back:")
        for kid in kids:
            told.print(f"  {kid}")
        told.print(
            "Whatever other countries sealed to them and is not here yet can then be read by nobody." if forced
            else "Nothing can be on its way to them any more, and nothing is signed with them."
        )  # fmt: skip
    if words is None and sys.stdin.isatty() and not as_json:
        told.print(f"Type these words to go on: {wanted}")
        words = sys.stdin.readline().strip()
    if words != wanted:
        raise BadRequest(f'Nothing was destroyed. The words are: "{wanted}".', where="--words")


def rewrap(
    home: Path, *, passphrase: str | None, token: str | None, label: str, pin: str | None, as_json: bool
) -> None:
    """Put the vault under another wrapper.

    Raises:
        BadRequest: not exactly one new way is named, or a passphrase that is too short.
    """
    if (passphrase is None) == (token is None):
        raise BadRequest("Name either --to-passphrase-file or --to-token.")
    settings = Settings.load(home)
    wrapper: Wrapper
    if token is not None:
        if pin is None:
            raise BadRequest("Say where the HSM's PIN is.", where="--pin-file")
        library, secret = checked_library(settings.hsm_library), read_source(pin, home=Path.cwd())
        wrapper, under = HsmWrapper(library, secret, token=token, label=label), f"key {label} of token {token}"
    else:
        chosen = new_passphrase("the vault", passphrase, where="--to-passphrase-file")
        wrapper, under = PassphraseWrapper(chosen), "the new passphrase"
    OwnKeys(settings, Unlocking(settings), listed=None).rewrap(wrapper)

    def people() -> None:
        output.console().print(
            f"The vault is under {under}; what opened it before does not any more.\n"
            f"Next: let the setting passphrase_file name the new passphrase or PIN, then: "
            f"trm doctor --home {output.word(home)}\n"
            f"Destroy backups of the old vault, or the old passphrase: together they still give the keys."
        )

    output.answer({"wrapper": under}, as_json=as_json, people=people)


def _own(home: Path) -> OwnKeys:
    settings = Settings.load(home)
    return OwnKeys(settings, Unlocking(settings), listed=_listed(settings))


def _listed(settings: Settings) -> Member | None:
    """Return our entry in the trust list in force; None where no list can be had, as on a machine without connection."""
    try:
        return trust_in_force(settings).members.get(settings.country)
    except TrustListInvalid:
        return None


def _now() -> datetime:
    return SystemClock().now()


def _uses(which: str) -> tuple[KeyUse, ...]:
    if which not in _WHICH:
        raise BadRequest("This is not signing, encryption or all.", where="--which")
    return _WHICH[which]


def _start(text: str | None, now: datetime) -> datetime:
    if text is None:
        return now + _DEFAULT_LEAD
    if text == "now":
        return now
    begin = read_time(text, "--from")
    if begin < now:
        raise BadRequest("A key does not begin in the past; say now.", where="--from")
    return begin


def _document(item: Standing) -> dict[str, Any]:
    key = item.listed
    return {
        "use": item.use.value,
        "id": item.kid,
        "where": sorted(place.value for place in item.places),
        "created": _text(item.created),
        "not_before": _text(key.not_before if key else None),
        "sign_until": _text(key.sign_until if key else None),
        "accept_until": _text(key.accept_until if key else None),
        "revoked_at": _text(key.revoked_at if key else None),
        "destroyed": _text(item.destroyed),
        "step": item.step.name.lower(),
        "next": item.step.value,
    }


def _table(found: Sequence[Standing]) -> None:
    output.table(
        ("use", "id", "where", "from (UTC)", "used until", "accepted until", "next"),
        [
            (
                item.use.value, item.kid, " ".join(sorted(place.value for place in item.places)) or "nowhere",
                _day(item.listed.not_before if item.listed else None),
                _day(item.listed.sign_until if item.listed else None),
                _day(item.listed.accept_until if item.listed else None),
                item.step.value,
            )
            for item in found
        ],
        wide=("id", "where", "next"),
    )  # fmt: skip


def _at_rest_document(entry: Entry) -> dict[str, Any]:
    return {
        "kind": entry.kind.value,
        "number": int(entry.id),
        "state": entry.state.value,
        "created": _text(entry.created),
        "destroyed": _text(entry.destroyed),
    }


def _at_rest_table(found: Sequence[Entry]) -> None:
    output.table(
        ("at rest", "number", "state", "created (UTC)", "destroyed (UTC)"),
        [
            (item.kind.value, item.id, item.state.value, _day(item.created), _day(item.destroyed))
            for item in found
        ],
    )  # fmt: skip


def _text(moment: datetime | None) -> str | None:
    return None if moment is None else time_text(moment)


def _day(moment: datetime | None) -> str:
    return "" if moment is None else f"{moment:%Y-%m-%d %H:%M}"
