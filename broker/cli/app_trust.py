# SPDX-FileCopyrightText: The trm-broker authors
# SPDX-License-Identifier: Apache-2.0
"""`trm trust …`: names, options and help of the ceremonies; the work is in `broker.cli.ceremony`."""

# ruff: noqa: D301  (a backspace keeps the lines of an example as they are written)
from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from broker.cli.options import AsJson

__all__ = ["trust_commands"]

Folder = Annotated[Path, typer.Argument(help="The folder of the trust repository; it may be on a stick.")]
Country = Annotated[str, typer.Argument(help="The country, as ISO 3166-1 alpha-2, e.g. FI.")]

Officers = Annotated[
    list[Path] | None, typer.Option("--officer", help="An officer's public key ('….public.json'); repeat it.")
]
Threshold = Annotated[
    int | None, typer.Option("--threshold", min=1, help="How many officers must sign. Default: more than half.")
]
PassphraseFile = Annotated[
    Path | None, typer.Option("--passphrase-file", help="Read the passphrase from a file instead of asking.")
]
KeyFiles = Annotated[list[Path], typer.Option("--key", help="The key file of an officer who is present; repeat it.")]

_ABOUT = """Who trusts whose keys: the federation's trust list and its ceremonies.

Every change is staged, shown in plain words, signed by enough officers, one after another and wherever they are, and
then published. The folder can be carried on a stick between machines without a network; a ceremony that was broken off
goes on where it stopped.

\b
  trm trust officer-key EE anna.key       an officer's key pair
  trm trust init FOLDER …                 a new federation
  trm trust request / add-member / join   a country comes in
  trm trust diff / sign / publish         what waits; sign it; let nodes have it
  trm trust verify SOURCE --root FILE     what a node would say to it"""


def trust_commands() -> typer.Typer:
    """Return the group of commands."""
    app = typer.Typer(help=_ABOUT, no_args_is_help=True, rich_markup_mode=None)
    for command in (
        officer_key, init, request, versions, add_member, add_paper_member, update_member, authority_key, suspend, resume, remove_member, revoke_key,
        rotate_root, stage, renew, discard, show, diff, sign, collect, publish, bundle, verify, join,
    ):  # fmt: skip
        app.command(command.__name__.replace("_", "-"))(command)
    return app


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


def request(
    home: Annotated[Path, typer.Option("--home", envvar="TRM_HOME", help="The node's home folder.")],
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
    home: Annotated[Path, typer.Option("--home", envvar="TRM_HOME", help="The node's home folder.")],
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
    overlap_hours: Annotated[
        int,
        typer.Option("--overlap-hours", min=0, max=24 * 60, help="How long an older key is sealed to beside it."),
    ] = 24 * 7,
    as_json: AsJson = False,
) -> None:
    """Take an office's new public key into its country's document, or rotate the office's key.

    Offices of other countries seal to it what no node may read. The words are compared first: whoever could put in a key
    of his own would read all of it. Then 'trm trust update-member' stages the document for the country's officers.

    \b
    Example:
      trm trust authority-key ./fi/member.json tracing-office-keys.json
    """
    from broker.cli.ceremony.authorities import list_authority_key as work

    work(member, file, words=words, start=start, overlap_hours=overlap_hours, as_json=as_json)


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
    key: Annotated[str, typer.Argument(help="The key's id, as 'trm keys list' shows it.")],
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


def show(folder: Folder, as_json: AsJson = False) -> None:
    """Show the members, who signs for whom, and what waits.

    \b
    Example:
      trm trust show ./trust
    """
    from broker.cli.ceremony.showing import show as work

    work(folder, as_json=as_json)


def diff(folder: Folder, as_json: AsJson = False) -> None:
    """Show every change that waits for signatures, place by place.

    \b
    Example:
      trm trust diff ./trust
    """
    from broker.cli.ceremony.showing import diff as work

    work(folder, as_json=as_json)


def sign(
    folder: Folder,
    key: KeyFiles,
    role: Annotated[
        list[str] | None, typer.Option("--role", help="Only root, targets, or a country code. Default: all that wait.")
    ] = None,
    seen: Annotated[
        list[str] | None, typer.Option("--seen", help="A digest that 'trm trust diff --json' showed: sign it unasked.")
    ] = None,
    passphrase_file: PassphraseFile = None,
    as_json: AsJson = False,
) -> None:
    """Show in plain words what will be signed, ask, and sign exactly that.

    \b
    Example:
      trm trust sign /media/stick/trust --key officer-1.key
    """
    from broker.cli.ceremony.signing import sign as work

    work(folder, keys=key, roles=role or [], seen=seen or [], passphrase_file=passphrase_file, as_json=as_json)


def collect(
    folder: Folder,
    copy: Annotated[Path, typer.Argument(help="A copy of the folder in which officers signed.")],
    as_json: AsJson = False,
) -> None:
    """Take over signatures that were made in a copy of the folder.

    \b
    Example:
      trm trust collect ./trust /media/stick/trust
    """
    from broker.cli.ceremony.signing import collect as work

    work(folder, copy, as_json=as_json)


def publish(
    folder: Folder,
    key: Annotated[Path, typer.Option("--key", help="The publishing key's file.")],
    passphrase_file: PassphraseFile = None,
    as_json: AsJson = False,
) -> None:
    """Publish what enough officers signed; run it weekly even when nothing changed, or the list runs out.

    \b
    Example:
      trm trust publish ./trust --key publisher.key
    """
    from broker.cli.ceremony.signing import publish as work

    work(folder, key=key, passphrase_file=passphrase_file, as_json=as_json)


def bundle(
    folder: Folder, out: Annotated[Path, typer.Option("--out", help="The .zip file.")], as_json: AsJson = False
) -> None:
    """Write what is published as one file, for sites without a connection.

    \b
    Example:
      trm trust bundle ./trust --out trust-list.zip
    """
    from broker.cli.ceremony.signing import bundle as work

    work(folder, out, as_json=as_json)


def verify(
    source: Annotated[str, typer.Argument(help="An https address, a directory, or a .zip bundle.")],
    root: Annotated[Path, typer.Option("--root", help="The root to begin from: 1.root.json of the first ceremony.")],
    as_json: AsJson = False,
) -> None:
    """Read a published list exactly as a node would, and say what it gives or which rule it breaks.

    \b
    Example:
      trm trust verify ./trust --root ./trust/metadata/1.root.json
    """
    from broker.cli.ceremony.showing import verify as work

    work(source, root, as_json=as_json)


def join(
    home: Annotated[Path, typer.Option("--home", envvar="TRM_HOME", help="The node's home folder.")],
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
