# SPDX-FileCopyrightText: The trm-broker authors
# SPDX-License-Identifier: Apache-2.0
"""The manual of keys is true: followed word for word, it makes a federation that a new country joins and works in."""

from __future__ import annotations

import io
import json
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from time import monotonic
from typing import Any

import pytest

from broker.cli import main
from broker.schema_files import read_schema_file
from broker.trust.words import fingerprint_words
from broker.vault import UNSAFE_DEV_KDF

MANUAL_FILE = Path(__file__).parents[2] / "keys" / "README.md"
MANUAL = MANUAL_FILE.read_text("utf-8")
PASSPHRASE = "only for this test"
WAIT_SECONDS = 60.0


class Terminal(io.StringIO):
    """Somebody sits in front of it."""

    def isatty(self) -> bool:
        return True


def commands(title: str) -> Iterator[list[str]]:
    """Yield the commands of one section of the manual."""
    section = MANUAL.split(f"### {title}\n", 1)[1].split("\n### ", 1)[0].split("\n## ", 1)[0]
    for block in re.findall(r"```sh\n(.*?)```", section, re.DOTALL):
        for line in block.replace("\\\n", " ").splitlines():
            yield shlex.split(line)


@contextmanager
def in_front(folder: Path) -> Iterator[list[str]]:
    """Give officers who type what they are asked for, in that folder; everything they were asked is returned."""
    asked: list[str] = []

    def answer(prompt: str) -> str:
        asked.append(prompt)
        if last := re.search(r"type the last word \((\w+)\)", prompt):
            return last.group(1)
        if "words of the public keys that somebody of FI/tracing-office reads" in prompt:
            return fingerprint_words((folder / "tracing-office-keys.json").read_bytes())
        what = re.search(r"words of the (request|root) that an officer of (\w+)", prompt)
        assert what is not None, prompt
        file = f"{what.group(2).lower()}-joining.json" if what.group(1) == "request" else "trust/metadata/1.root.json"
        return fingerprint_words((folder / file).read_bytes())

    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        patch.setattr("sys.stdin", Terminal())
        patch.setattr("builtins.input", answer)
        patch.setattr("getpass.getpass", lambda *_: PASSPHRASE)
        patch.setattr(
            "broker.vault.wrapping.DEFAULT_KDF", UNSAFE_DEV_KDF
        )  # a hundred passphrases would be tried slowly
        yield asked


@pytest.fixture(scope="module")
def federation(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A new federation, made once by the manual's commands."""
    folder = tmp_path_factory.mktemp("federation")
    with in_front(folder):
        follow("A new federation")
    return folder


@pytest.fixture
def people(federation: Path, tmp_path: Path) -> Iterator[list[str]]:
    """Officers in front of their own copy of the new federation."""
    shutil.copytree(federation, tmp_path, dirs_exist_ok=True)
    with in_front(tmp_path) as asked:
        yield asked


def follow(title: str, *, country: str = "FI") -> None:
    """Do what a section says, for that country; nodes are not started."""
    for command in commands(title):
        assert command[0] == "trm"
        if command[1] != "serve":
            renamed = [re.sub(r"\bfi\b", country.lower(), re.sub(r"\bFI\b", country, part)) for part in command[1:]]
            assert main(renamed) == 0, renamed


@contextmanager
def serving(home: Path) -> Iterator[None]:
    """Run the node of a home until the block ends."""
    command = [sys.executable, "-m", "broker.cli", "serve", "--home", str(home), "--until-eof", "--json"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        try:
            while '"ready"' not in process.stdout.readline():
                assert process.poll() is None
            yield
        finally:
            process.stdin.close()
            process.wait(WAIT_SECONDS)


def do(*arguments: str) -> None:
    """Run a command that must work."""
    assert main([*arguments]) == 0, arguments


def agreed(role: str, *officers: int) -> None:
    """Let these officers of the federation (``federation``) or of a country sign all that waits, and publish it."""
    do("trust", "sign", "trust", *(part for number in officers for part in ("--key", f"{role}-{number}.key")))
    do("trust", "publish", "trust", "--key", "publisher.key")


def read(capsys: pytest.CaptureFixture[str], *arguments: str) -> Any:
    """Return the JSON answer of a command."""
    capsys.readouterr()
    assert main([*arguments, "--json"]) == 0
    return json.loads(capsys.readouterr().out)


def test_the_manual_makes_a_federation_that_a_country_joins(
    people: list[str], capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    """Every command of the ceremonies works as written; the new country reads a list with itself in it."""
    follow("A country joins")
    joined = read(capsys, "trust", "verify", "trust", "--root", "trust/metadata/1.root.json")
    assert joined["members"] == {"FI": {"status": "ACTIVE", "keys": 3}}
    follow("Later changes")
    after = read(capsys, "trust", "show", "trust")
    assert after["waiting"] == []
    assert [(item["country"], item["status"]) for item in after["members"]] == [("FI", "ACTIVE")]
    assert sum("fifteen words of the request" in prompt for prompt in people) == 1
    assert sum("fifteen words of the root" in prompt for prompt in people) == 1
    assert "source" in (tmp_path / "fi" / "settings.toml").read_text("utf-8")


def test_a_script_signs_what_was_seen_and_nothing_else(
    people: list[str], capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    """--json never asks: with the digest that diff showed it signs those bytes, with another or none it signs nothing."""
    follow("A country joins")
    assert main(["trust", "suspend", "trust", "FI", "--reason", "A drill."]) == 0
    sign = ["trust", "sign", "trust", "--key", "federation-1.key", "--json"]
    (waiting,) = read(capsys, "trust", "diff", "trust")["waiting"]
    asked = len(people)
    for seen in ((), ("--seen", "0" * 64)):
        assert main([*sign, *seen]) != 0
        assert json.loads(capsys.readouterr().out)["error"]["where"] == "--seen"
    (signed,) = read(capsys, *sign[:-1], "--seen", waiting["digest"])["signed"]
    assert (signed["digest"], len(signed["signed_by"])) == (waiting["digest"], 1)
    assert len(people) == asked


def test_the_first_message_of_a_new_country_is_accepted(
    people: list[str], capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Two countries that came in by the manual's commands alone, with no file edited, exchange a request."""
    (tmp_path / "pass").write_text(PASSPHRASE)
    monkeypatch.setenv("TRM_PASSPHRASE_FILE", str(tmp_path / "pass"))
    monkeypatch.setenv("TRM_API_PORT", "0")
    follow("A country joins", country="FI")
    follow("A country joins", country="EE")
    request = json.loads(read_schema_file("examples/demo/request.json"))
    for side in ("sender", "recipient"):
        request[side]["authority"] = "tracing-office"
    (tmp_path / "request.json").write_text(json.dumps(request))
    with serving(tmp_path / "fi"), serving(tmp_path / "ee"):
        sent = read(capsys, "submit", "request.json", "--home", "ee")
        deadline = monotonic() + WAIT_SECONDS
        while (held := read(capsys, "show", sent["message"], "--home", "ee"))["state"] in {"recorded", "published"}:
            assert monotonic() < deadline, held
    assert [item["id"] for item in read(capsys, "inbox", "--home", "fi")["items"]] == [sent["message"]]


def test_joining_takes_few_commands() -> None:
    """At most five on the country's side, and two of each of the federation's officers."""
    section = MANUAL.split("### A country joins\n", 1)[1].split("\n### ", 1)[0]
    blocks = [block.replace("\\\n", " ").splitlines() for block in re.findall(r"```sh\n(.*?)```", section, re.DOTALL)]
    first, officer_1, officer_2, last = blocks
    assert len(first) + len(last) <= 5
    assert len(officer_1) <= 2
    assert len(officer_2) <= 2


def test_other_words_stop_a_joining(people: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """A request whose words are not those that were read out stages nothing."""
    for command in list(commands("A country joins"))[:3]:
        assert main(command[1:]) == 0
    monkeypatch.setattr("builtins.input", lambda _: fingerprint_words(b"another file"))
    assert main(["trust", "add-member", "trust", "fi-joining.json"]) == 1
    assert main(["trust", "sign", "trust", "--key", "federation-1.key"]) != 0


def test_what_nobody_confirms_is_not_signed(people: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """Another word than the one asked for leaves the change waiting, unsigned."""
    assert main(["trust", "add-paper-member", "trust", "NO"]) == 0
    monkeypatch.setattr("builtins.input", lambda _: "yes")
    assert main(["trust", "sign", "trust", "--key", "federation-1.key"]) == 1
    assert main(["trust", "publish", "trust", "--key", "publisher.key"]) == 0
    monkeypatch.setattr("builtins.input", lambda prompt: re.search(r"\((\w+)\)", prompt).group(1))  # type: ignore[union-attr]
    assert main(["trust", "sign", "trust", "--key", "federation-1.key"]) == 0


def test_a_rotation_goes_as_the_manual_says(people: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    """The next keys are made, signed by the member's own officers alone, and published beside the old ones."""
    follow("A country joins")
    follow("A rotation from beginning to end")
    after = read(capsys, "trust", "verify", "trust", "--root", "trust/metadata/1.root.json")
    assert after["members"] == {"FI": {"status": "ACTIVE", "keys": 6}}


def test_an_offices_key_is_listed_as_the_manual_says(
    people: list[str], capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    """The office makes it outside the node's home, its words are compared, its country's officers alone sign for it."""
    follow("A country joins")
    follow("An office's own key")
    office = json.loads((tmp_path / "fi" / "member.json").read_text("utf-8"))["authorities"][0]
    kids = read(capsys, "keys", "list", "--vault", "tracing-office.vault")["keys"]
    assert len(office["keys"]) == len(kids) == 1
    assert sum("fifteen words of the public keys" in prompt for prompt in people) == 1
    assert not list((tmp_path / "fi").rglob("*office*"))
    assert read(capsys, "trust", "show", "trust")["waiting"] == []


def test_stolen_keys_are_replaced_as_the_manual_says(people: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    """In the middle of a rotation: all that the vault held is revoked, the next keys too, and new ones are in use."""
    follow("A country joins")
    do("keys", "rotate", "--home", "fi")
    do("keys", "generate", "--home", "fi")
    stolen = {key["id"] for key in read(capsys, "keys", "list", "--home", "fi")["keys"]}
    follow("A theft from beginning to end")
    keys = read(capsys, "keys", "list", "--home", "fi")["keys"]
    assert {key["id"] for key in keys if key["step"] == "revoked"} == stolen
    assert [key["step"] for key in keys if key["id"] not in stolen] == ["nothing"] * 3
    assert (
        read(capsys, "trust", "verify", "trust", "--root", "trust/metadata/1.root.json")["members"]["FI"]["keys"] == 12
    )


def test_an_offices_stolen_key_is_replaced_as_the_manual_says(
    people: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    """From a new vault, by its country's officers; the old key is revoked, and the old vault still opens."""
    follow("A country joins")
    follow("An office's own key")
    generate, export, take, *rest = commands("An office's own key")
    for command in (generate, export, [*take, "--stolen-since", "now"], *rest):
        do(*(part.replace("tracing-office.vault", "new.vault") for part in command[1:]))
    keys = [key for key in read(capsys, "trust", "keys", "trust", "FI")["keys"] if key["whose"] == "tracing-office"]
    held = [read(capsys, "keys", "list", "--vault", vault)["keys"] for vault in ("tracing-office.vault", "new.vault")]
    assert [(key["id"], key["revoked_at"] is None) for key in keys] == [
        (held[0][0], False),
        (held[1][0], True),
    ]


def test_officers_revoke_the_keys_of_a_node_out_of_reach(people: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    """Its own country's alone, and no file of the node is needed."""
    follow("A country joins")
    for key in read(capsys, "trust", "keys", "trust", "FI")["keys"]:
        do("trust", "revoke-key", "trust", "FI", key["id"], "--reason", "key-compromise")
    agreed("fi", 1, 2)
    do("trust", "refresh", "--home", "fi")
    assert {key["step"] for key in read(capsys, "keys", "list", "--home", "fi")["keys"]} == {"revoked"}


def test_another_officer_of_a_country_signs_for_one_who_left(
    people: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    """The federation's officers say who it is; the country's documents stay, and who left signs nothing more."""
    follow("A country joins")
    do("trust", "officer-key", "FI", "fi-4.key")
    stay = [part for number in (1, 2, 4) for part in ("--officer", f"fi-{number}.key.public.json")]
    assert main(["trust", "member-officers", "trust", "EE", *stay]) == 1
    do("trust", "member-officers", "trust", "FI", *stay, "--threshold", "2")
    do("trust", "sign", "trust", "--key", "fi-2.key", "--key", "fi-4.key")
    agreed("federation", 1, 3)
    (member,) = read(capsys, "trust", "show", "trust")["members"]
    assert (member["kind"], member["threshold"]) == ("STATE", 2)
    assert [officer["label"] for officer in member["officers"]] == ["fi-1", "fi-2", "fi-4"]
    do("trust", "revoke-key", "trust", "FI", read(capsys, "trust", "keys", "trust", "FI")["keys"][0]["id"])
    assert main(["trust", "sign", "trust", "--key", "fi-3.key"]) != 0
    agreed("fi", 1, 4)
    do("trust", "refresh", "--home", "fi")
    steps = [key["step"] for key in read(capsys, "keys", "list", "--home", "fi")["keys"]]
    assert steps == ["revoked", "nothing", "nothing"]


def test_only_a_country_with_a_node_has_officers_of_its_own(people: list[str]) -> None:
    """For one on paper the federation's officers sign, and a stranger has none."""
    do("trust", "add-paper-member", "trust", "NO")
    do("trust", "officer-key", "NO", "no.key")
    do("trust", "officer-key", "PT", "pt.key")
    assert main(["trust", "member-officers", "trust", "NO", "--officer", "no.key.public.json"]) == 3
    assert main(["trust", "member-officers", "trust", "PT", "--officer", "pt.key.public.json"]) == 3


def test_another_officer_signs_for_one_who_left(people: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    """Who left signs nothing more; nodes that pinned the first root follow."""
    follow("A country joins")
    do("trust", "officer-key", "SE", "federation-4.key")
    stay = (part for number in (1, 2, 4) for part in ("--officer", f"federation-{number}.key.public.json"))
    do("trust", "rotate-root", "trust", *stay, "--threshold", "2")
    agreed("federation", 1, 2)
    do("trust", "suspend", "trust", "FI", "--reason", "A drill.")
    assert main(["trust", "sign", "trust", "--key", "federation-3.key"]) != 0
    agreed("federation", 2, 4)
    after = read(capsys, "trust", "verify", "trust", "--root", "trust/metadata/1.root.json")
    assert after["members"]["FI"]["status"] == "SUSPENDED"


def test_another_key_publishes_for_a_stolen_one(people: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    """The federation's officers name it; the old one publishes nothing more."""
    follow("A country joins")
    do("trust", "officer-key", "EE", "new.key")
    do("trust", "rotate-root", "trust", "--online", "new.key.public.json")
    do("trust", "sign", "trust", "--key", "federation-1.key", "--key", "federation-3.key")
    assert main(["trust", "publish", "trust", "--key", "publisher.key"]) != 0
    do("trust", "publish", "trust", "--key", "new.key")
    assert read(capsys, "trust", "verify", "trust", "--root", "trust/metadata/1.root.json")["members"].keys() == {"FI"}


def test_arrangements_catalogue_and_lifetimes_are_the_federations(
    people: list[str], capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    """Each is staged, signed by two officers, published, and found by who verifies a bundle of it."""
    follow("A country joins")
    shutil.copy(MANUAL_FILE.parent / "demo" / "arrangements.json", tmp_path / "register.json")
    do("trust", "stage", "trust", "arrangements", "register.json")
    do("trust", "stage", "trust", "catalogue")
    agreed("federation", 1, 3)
    do("trust", "renew", "trust", "targets")
    agreed("federation", 2, 3)
    do("trust", "renew", "trust", "FI")
    agreed("fi", 2, 3)
    do("trust", "bundle", "trust", "--out", "list.zip")
    folder = read(capsys, "trust", "verify", "trust", "--root", "trust/metadata/1.root.json")
    assert read(capsys, "trust", "verify", "list.zip", "--root", "trust/metadata/1.root.json") == folder
    assert {file.name.split(".", 1)[1] for file in (tmp_path / "trust" / "targets").iterdir() if file.is_file()} >= {
        "arrangements.json",
        "catalogue.json",
    }


def test_a_country_leaves(people: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    """What was staged by mistake is forgotten; what two officers signed, one of them in a copy, is in force."""
    follow("A country joins")
    do("trust", "remove-member", "trust", "FI")
    do("trust", "discard", "trust", "targets")
    assert read(capsys, "trust", "show", "trust")["waiting"] == []
    do("trust", "remove-member", "trust", "FI")
    shutil.copytree("trust", "stick")
    do("trust", "sign", "stick", "--key", "federation-2.key")
    do("trust", "collect", "trust", "stick")
    agreed("federation", 1)
    assert read(capsys, "trust", "verify", "trust", "--root", "trust/metadata/1.root.json")["members"] == {}
