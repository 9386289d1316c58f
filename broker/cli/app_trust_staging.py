# SPDX-FileCopyrightText: The trm-broker authors
# SPDX-License-Identifier: Apache-2.0
"""`trm trust …` that stages a change of the list for its officers: names, options and help."""

# ruff: noqa: D301  (a backspace keeps the lines of an example as they are written)
from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from broker.cli.options import AsJson
from broker.cli.trust_options import Country, Folder, Officers, Threshold

__all__ = [
    "add_member",
    "add_paper_member",
    "discard",
    "init",
    "member_officers",
    "remove_member",
    "renew",
    "resume",
    "revoke_key",
    "rotate_root",
    "stage",
    "suspend",
    "update_member",
]


def init(
    folder: Folder,
    name: Annotated[str, typer.Option("--name", help="The federation's name.")],
    online: Annotated[
        Path,
        typer.Option("--online", help="The public key that publishes; its private part is on a connected machine."),
    ],
    officer: Officers = None,
    threshold: Threshold = None,
    as_json: AsJson = False,
) -> None:
    """Stage a new federation: its root, its list without members, and the message catalogue of this installation.

    \b
    Example:
      trm trust init ./trust --name "Baltic exercise" --officer a.key.public.json --officer b.key.public.json \\
        --officer c.key.public.json --threshold 2 --online publisher.key.public.json
    """
    from broker.cli.ceremony.changing import init as work

    work(folder, name=name, officers=officer or [], threshold=threshold, online=online, as_json=as_json)


def add_member(
    folder: Folder,
    file: Annotated[Path, typer.Argument(help="The country's request to join.")],
    words: Annotated[
        str | None, typer.Option("--words", help="The words that the country's officers read out.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Stage a joining country; its keys and officers' fingerprints are shown as words.

    \b
    Example:
      trm trust add-member ./trust fi-joining.json --words "together mail awful …"
    """
    from broker.cli.ceremony.changing import add_member as work

    work(folder, file, words=words, as_json=as_json)


def add_paper_member(folder: Folder, country: Country, as_json: AsJson = False) -> None:
    """Stage a country without a node: what it gets is printed, what it answers is entered by hand.

    \b
    Example:
      trm trust add-paper-member ./trust NO
    """
    from broker.cli.ceremony.changing import add_paper_member as work

    work(folder, country, as_json=as_json)


def update_member(
    folder: Folder,
    country: Country,
    member: Annotated[
        Path | None,
        typer.Option("--member", help="Its new document, e.g. member.json of its home after 'trm keys rotate'."),
    ] = None,
    profile: Annotated[Path | None, typer.Option("--profile", help="Its new profile.")] = None,
    as_json: AsJson = False,
) -> None:
    """Stage a member's new keys, offices or profile: the member's own officers sign, nobody else.

    \b
    Example:
      trm trust update-member ./trust EE --member ./ee/member.json
    """
    from broker.cli.ceremony.changing import update_member as work

    work(folder, country, member=member, profile=profile, as_json=as_json)


def suspend(
    folder: Folder,
    country: Country,
    reason: Annotated[str, typer.Option("--reason", help="One line that every node is shown; nothing of a case.")],
    as_json: AsJson = False,
) -> None:
    """Stage that nothing is sent to a member and nothing of it is believed, until it is resumed.

    \b
    Example:
      trm trust suspend ./trust FI --reason "Node taken over; see security notice 4."
    """
    from broker.cli.ceremony.changing import suspend as work

    work(folder, country, reason=reason, as_json=as_json)


def resume(folder: Folder, country: Country, as_json: AsJson = False) -> None:
    """Stage the end of a suspension.

    \b
    Example:
      trm trust resume ./trust FI
    """
    from broker.cli.ceremony.changing import resume as work

    work(folder, country, as_json=as_json)


def remove_member(folder: Folder, country: Country, as_json: AsJson = False) -> None:
    """Stage that a country leaves; messages under way to it or from it will not arrive.

    \b
    Example:
      trm trust remove-member ./trust FI
    """
    from broker.cli.ceremony.changing import remove_member as work

    work(folder, country, as_json=as_json)


def revoke_key(
    folder: Folder,
    country: Country,
    key: Annotated[str, typer.Argument(help="The key's id, as 'trm trust keys' shows it.")],
    reason: Annotated[
        str, typer.Option("--reason", help="key-compromise, superseded or cessation-of-operation.")
    ] = "key-compromise",
    at: Annotated[str | None, typer.Option("--at", help="From when it counts no more. Default: now.")] = None,
    as_json: AsJson = False,
) -> None:
    """Stage the revocation of a member's message key: its own officers sign, day or night, without the federation.

    \b
    Example:
      trm trust revoke-key ./trust EE KEY --reason key-compromise
    """
    from broker.cli.ceremony.changing import revoke_key as work

    work(folder, country, key, reason=reason, at=at, as_json=as_json)


def member_officers(
    folder: Folder, country: Country, officer: Officers = None, threshold: Threshold = None, as_json: AsJson = False
) -> None:
    """Stage other officers of a member: one left, or an officer's key was lost or stolen. Name those too who stay.

    The new officers sign their country's documents anew, and the federation's officers that it is they; until both
    have signed nothing is published.

    \b
    Example:
      trm trust member-officers ./trust FI --officer fi-1.key.public.json --officer fi-4.key.public.json --threshold 2
    """
    from broker.cli.ceremony.changing import member_officers as work

    work(folder, country, officers=officer or [], threshold=threshold, as_json=as_json)


def rotate_root(
    folder: Folder,
    officer: Officers = None,
    threshold: Threshold = None,
    online: Annotated[Path | None, typer.Option("--online", help="Another public key that publishes.")] = None,
    as_json: AsJson = False,
) -> None:
    """Stage a new root: other officers, another publishing key, or only a new lifetime.

    Enough of the old officers and enough of the new ones must sign.

    \b
    Example:
      trm trust rotate-root ./trust --officer a.key.public.json --officer d.key.public.json --threshold 2
    """
    from broker.cli.ceremony.changing import rotate_root as work

    work(folder, officers=officer or [], threshold=threshold, online=online, as_json=as_json)


def stage(
    folder: Folder,
    document: Annotated[str, typer.Argument(help="'arrangements' or 'catalogue'.")],
    source: Annotated[
        Path | None, typer.Argument(help="The register's file; the catalogue's folder (default: this installation's).")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Stage the federation's arrangement register, or its message catalogue.

    \b
    Examples:
      trm trust stage ./trust arrangements register.json
      trm trust stage ./trust catalogue
    """
    from broker.cli.ceremony.changing import stage as work

    work(folder, document, source, as_json=as_json)


def renew(
    folder: Folder,
    role: Annotated[str, typer.Argument(help="targets, or a member's country code; for the root: rotate-root.")],
    as_json: AsJson = False,
) -> None:
    """Stage the same content with a new lifetime, before it runs out.

    \b
    Example:
      trm trust renew ./trust targets
    """
    from broker.cli.ceremony.changing import renew as work

    work(folder, role, as_json=as_json)


def discard(
    folder: Folder,
    role: Annotated[str, typer.Argument(help="root, targets, or a member's country code.")],
    as_json: AsJson = False,
) -> None:
    """Forget what waits for signatures of one role; what is published stays.

    \b
    Example:
      trm trust discard ./trust targets
    """
    from broker.cli.ceremony.changing import discard as work

    work(folder, role, as_json=as_json)
