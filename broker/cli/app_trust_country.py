# SPDX-FileCopyrightText: The trm-broker authors
# SPDX-License-Identifier: Apache-2.0
"""`trm trust …` of one country: its officers' and offices' keys, its request to join, the root it believes."""

# ruff: noqa: D301  (a backspace keeps the lines of an example as they are written)
from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from broker.cli.options import AsJson, Home, OverlapHours, StolenSince
from broker.cli.trust_options import Country, KeyFiles, Officers, PassphraseFile, Threshold

__all__ = ["authority_key", "join", "officer_key", "refresh", "request", "versions"]


def officer_key(
    country: Country,
    files: Annotated[
        list[Path], typer.Argument(help="Where each officer's key goes; the name is the officer's label.")
    ],
    passphrase_file: PassphraseFile = None,
    as_json: AsJson = False,
) -> None:
    """Make officers' signing keys (ML-DSA-65), each encrypted under the officer's own passphrase.

    Beside each a '.public.json' is written for the ceremony, and its fingerprint is shown as words. Do it on a machine
    without a network; keep each key and its passphrase with the officer alone.

    \b
    Example:
      trm trust officer-key EE officer-1.key officer-2.key officer-3.key
    """
    from broker.cli.ceremony.officers import create

    create(country, files, passphrase_file=passphrase_file, as_json=as_json)


def request(
    home: Home,
    out: Annotated[Path, typer.Option("--out", help="Where the request goes.")],
    key: KeyFiles,
    officer: Officers = None,
    threshold: Threshold = None,
    profile: Annotated[Path | None, typer.Option("--profile", help="The country's profile, if there is one.")] = None,
    version: Annotated[
        int,
        typer.Option(
            "--version",
            min=1,
            help="Of the country's list: 1, or what 'add-member' names for one that was a member before.",
        ),
    ] = 1,
    passphrase_file: PassphraseFile = None,
    as_json: AsJson = False,
) -> None:
    """Write this country's request to join, or to join again, signed by enough of its own officers.

    \b
    Example:
      trm trust request --home ./fi --officer 1.key.public.json --officer 2.key.public.json --officer 3.key.public.json \\
        --key 1.key --key 2.key --out fi-joining.json
    """
    from broker.cli.ceremony.joining import request as work

    work(
        home,
        officers=officer or [],
        threshold=threshold,
        keys=key,
        passphrase_file=passphrase_file,
        profile=profile,
        version=version,
        out=out,
        as_json=as_json,
    )


def versions(
    home: Home,
    as_json: AsJson = False,
) -> None:
    """List in the home's member.json which message and procedure versions its node takes, after an upgrade or a new catalogue.

    Other countries send only what is listed there, once this country's officers have signed it.

    \b
    Example:
      trm trust versions --home ./ee
    """
    from broker.cli.ceremony.joining import versions as work

    work(home, as_json=as_json)


def refresh(home: Home, as_json: AsJson = False) -> None:
    """Take the federation's newest list now: after a revocation, say, or a new key of an office.

    A running node looks by itself within 15 minutes; it works by what this takes within one. Asks for no passphrase.

    \b
    Example:
      trm trust refresh --home ./ee
    """
    from broker.cli.ceremony.joining import refresh as work

    work(home, as_json=as_json)


def authority_key(
    member: Annotated[Path, typer.Argument(help="The country's document, e.g. member.json of its node's home.")],
    file: Annotated[Path, typer.Argument(help="The office's public keys, as 'trm keys export-public' wrote them.")],
    words: Annotated[
        str | None, typer.Option("--words", help="The words that somebody of the office read out. Default: ask.")
    ] = None,
    start: Annotated[
        str | None,
        typer.Option("--from", help="When the key begins, a UTC time as 2027-01-31T08:00:00Z. Default: now."),
    ] = None,
    overlap_hours: OverlapHours = None,
    stolen_since: StolenSince = None,
    as_json: AsJson = False,
) -> None:
    """Take an office's new public key into its country's document, or rotate the office's key.

    Offices of other countries seal to it what no node may read. The words are compared first: whoever could put in a key
    of his own would read all of it. Then 'trm trust update-member' stages the document for the country's officers.

    Where somebody else may have had the office's vault, --stolen-since revokes the older keys beside.

    \b
    Examples:
      trm trust authority-key ./fi/member.json tracing-office-keys.json
      trm trust authority-key ./fi/member.json tracing-office-keys.json --stolen-since now
    """
    from broker.cli.ceremony.authorities import list_authority_key as work

    work(
        member, file, words=words, start=start, overlap_hours=overlap_hours, stolen_since=stolen_since, as_json=as_json
    )


def join(
    home: Home,
    root: Annotated[Path, typer.Option("--root", help="The federation's root file, however it came.")],
    source: Annotated[str, typer.Option("--source", help="Where the list is: https address, directory, .zip bundle.")],
    words: Annotated[
        str | None, typer.Option("--words", help="The root's words, as a federation officer read them. Default: ask.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Begin to believe a federation: pin its root in the home, after its words were compared over the telephone.

    \b
    Example:
      trm trust join --home ./fi --root root.json --source https://trust.example/list
    """
    from broker.cli.ceremony.joining import join as work

    work(home, root=root, source=source, words=words, as_json=as_json)
