# SPDX-FileCopyrightText: The trm-broker authors
# SPDX-License-Identifier: Apache-2.0
"""The command as a whole: help, exit codes, errors."""

import errno
import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pytest
import typer

from broker.cli import app as application
from broker.cli import output
from broker.schema_files import read_schema_file

COMMANDS = (
    "keys list", "keys generate", "keys rotate", "keys export-public", "keys retire", "keys rewrap",
    "init", "serve", "demo", "submit", "inbox", "show", "resend", "timeline", "validate", "doctor", "token", "vectors",
    "attention list", "attention resolve", "authority list", "authority set", "held list", "held show", "held release", "held reject",
    "broker definitions", "profile show", "profile diff", "profile check", "profile set", "arrangement list", "arrangement show",
    "arrangement check", "arrangement add", "arrangement end", "arrangement suspend", "labels show", "labels check", "labels export",
    "labels import", "attachment add", "attachment save", "attachment seal", "attachment unseal", "seal", "open",
    "broker apply", "broker ca init", "broker ca show", "broker certificate request",
    "broker certificate issue", "broker certificate host", "broker certificate install", "broker certificate show",
    "broker certificate revoke",
    "trust officer-key", "trust init", "trust request", "trust refresh", "trust versions", "trust add-member", "trust add-paper-member",
    "trust update-member", "trust authority-key", "trust suspend", "trust resume", "trust remove-member", "trust revoke-key",
    "trust member-officers",
    "trust rotate-root", "trust stage", "trust renew", "trust discard", "trust show", "trust keys", "trust diff", "trust sign",
    "audit verify", "audit list", "audit show", "audit export", "audit witness export", "case search", "case disclosures",
    "backup make", "backup verify", "backup key", "backup accept", "backup keys", "backup end", "restore", "healing show", "healing end",
    "case retention", "case hold", "case review", "case erase", "case erasures", "case confirm", "case reject",
    "case pass-on", "case answer",
    "trust collect", "trust publish", "trust bundle", "trust verify", "trust join",
)  # fmt: skip


def test_help_names_every_command_and_the_usual_way(trm):
    """`trm --help` lists every command, the usual order of use and the exit codes."""
    ran = trm("--help")

    assert ran.code == 0
    assert all(name.split()[0] in ran.out for name in COMMANDS)
    assert "Exit codes" in ran.out


def test_the_version_is_that_of_the_installed_package(trm):
    """Whoever asks for help is asked for it first; the help says how."""
    ran = trm("--version")
    assert (ran.code, ran.out) == (0, f"trm {version('trm-broker')}\n")
    assert "--version" in trm("--help").out


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_teaches_by_an_example_and_speaks_json(trm, command):
    """The help of each command has an example that begins with its own name, on a line of its own, and --json."""
    ran = trm(*command.split(), "--help")

    lines = [line.strip() for line in ran.out.splitlines()]
    assert ran.code == 0
    assert any(line.startswith(f"trm {command}") or f"$(trm {command}" in line for line in lines)
    assert "--json" in ran.out


@pytest.mark.parametrize("command", COMMANDS)
def test_an_option_that_says_where_a_secret_is_ends_alike(trm, command):
    """Whoever reads --passphrase types the passphrase itself, which stays in the shell's history: its name says file."""
    asked = re.findall(r"--[a-z-]*(?:passphrase|pin)[a-z-]*", trm(*command.split(), "--help").out)
    assert [option for option in asked if not option.endswith("-file")] == []


def test_what_is_typed_wrongly_is_exit_code_2(trm):
    """An unknown command and a missing option are usage errors that point to the help."""
    for arguments in (("fly",), ("inbox",), ("inbox", "--fly")):
        ran = trm(*arguments)
        assert ran.code == 2
        assert "--help" in ran.err
        assert ran.out == ""


def test_what_is_typed_wrongly_is_one_document_with_json(trm, tmp_path, monkeypatch):
    """Also a file that this user may not read: a script finds its reason where it finds all others."""
    file = tmp_path / "request.json"
    file.write_text("{}")
    monkeypatch.setattr(os, "access", lambda *_, **__: False)
    for arguments, said in ((("inbox", "--fly"), "--fly"), (("validate", file), "not readable"), (("fly",), "fly")):
        ran = trm(*arguments, "--json")
        assert (ran.code, ran.err) == (2, "")
        assert ran.json["error"]["code"] == "bad-request"
        assert said in ran.json["error"]["detail"]
        assert ran.json["error"]["who_must_act"] == "caller"


def test_a_refusal_is_exit_code_1_and_a_fault_of_ours_3(trm, tmp_path):
    """Who must act decides the exit code, and the error names it."""
    refused = trm("validate", tmp_path / "missing.json")
    broken = trm("inbox", "--home", tmp_path / "missing")

    assert (refused.code, broken.code) == (1, 3)
    assert "who must act: caller" in refused.err
    assert "who must act: operator" in broken.err
    assert refused.out == broken.out == ""


def test_an_error_with_json_is_one_document_on_standard_output(trm, tmp_path):
    """With --json an error is a document with code, detail, place and who must act, and nothing stands on stderr."""
    ran = trm("inbox", "--home", tmp_path / "missing", "--json")

    assert ran.json["error"]["code"] == "home-invalid"
    assert ran.json["error"]["where"] == str(tmp_path / "missing")
    assert ran.json["error"].keys() == {"code", "detail", "where", "who_must_act"}
    assert ran.err == ""


def test_the_unforeseen_is_a_reference_and_a_class_never_a_traceback(trm, monkeypatch):
    """An unforeseen exception shows its class and a reference; its text, which may hold a name, is not shown."""
    monkeypatch.setattr(application, "run", _explode)
    ran = trm("inbox")

    assert ran.code == 3
    assert "ZeroDivisionError, reference" in ran.err
    assert "Test-Maarika" not in ran.err
    assert "Traceback" not in ran.err


def test_the_traceback_is_shown_on_purpose(trm, monkeypatch):
    """TRM_DEBUG shows where it happened."""
    monkeypatch.setattr(application, "run", _explode)
    monkeypatch.setenv("TRM_DEBUG", "1")
    ran = trm("inbox")

    assert ran.code == 3
    assert "Traceback" in ran.err


def test_an_interruption_is_exit_code_130(trm, monkeypatch):
    """Ctrl-C ends a command quietly."""
    monkeypatch.setattr(application, "run", _interrupt)
    ran = trm("inbox")

    assert (ran.code, ran.err) == (130, "trm: interrupted\n")


@pytest.fixture
def interruptible() -> Iterator[None]:
    """Let Ctrl-C reach this process, also where the tests were started in the background, with it ignored."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.usefixtures("interruptible")
@pytest.mark.parametrize("command", ["inbox --authority social-insurance-board", "doctor", "keys rotate"])
def test_the_first_interruption_ends_a_question(trm, home, monkeypatch, command):
    """Ctrl-C at the prompt for the passphrase needs no second one, and nothing goes on behind it."""
    went_on = _asked(home, monkeypatch, lambda: signal.raise_signal(signal.SIGINT))
    ran = trm(*command.split(), "--home", home)

    assert (ran.code, ran.err, went_on) == (130, "trm: interrupted\n", [])
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_an_ended_input_is_told(trm, home, monkeypatch):
    """Ctrl-D at a prompt is no silence."""
    _asked(home, monkeypatch, _end)
    ran = trm("inbox", "--home", home)

    assert ran.code == 1
    assert "The input ended where an answer was asked for." in ran.err


def _asked(home: Path, monkeypatch: pytest.MonkeyPatch, typed: Callable[[], object]) -> list[str]:
    """Let the vault's passphrase be asked for and that be typed; return what was asked on after it."""
    settings = home / "settings.toml"
    settings.write_text(settings.read_text().replace('passphrase_file = "passphrase"', 'passphrase_file = "prompt"'))
    went_on: list[str] = []

    def ask(prompt: str) -> str:
        typed()
        went_on.append(prompt)
        return "wrong"

    monkeypatch.setattr("sys.stdin.isatty", lambda: True, raising=False)
    monkeypatch.setattr("getpass.getpass", ask)
    return went_on


def _end() -> None:
    raise EOFError


@pytest.mark.parametrize(
    ("number", "code"), [(errno.ENOSPC, "disk-full"), (errno.EDQUOT, "disk-full"), (errno.EACCES, "home-invalid")]
)
def test_the_operating_systems_no_is_a_sentence(capsys, number, code):
    """A full disk and a forbidden file are told as such, with the file."""
    exit_code = output.complain(OSError(number, "text", "/a/file"), as_json=False)

    said = capsys.readouterr().err
    assert exit_code == 3
    assert said.startswith(f"trm: {code}: ")
    assert "/a/file" in said


def test_a_cursor_stays_one_word_on_a_narrow_terminal(capsys, monkeypatch):
    """What is copied from there and typed again is the cursor, without a break in it."""
    monkeypatch.setattr("sys.stdout.isatty", lambda: True, raising=False)
    monkeypatch.setenv("COLUMNS", "80")
    cursor = "WyIyMDI2" * 20
    output.follows(cursor)
    assert cursor in capsys.readouterr().out


def test_text_of_others_cannot_steer_the_terminal():
    """Control and direction characters are spelled out; letters of every script stay."""
    assert output.plain("Näidis Ωmega 名 \x1b[2J\u202eabc\x9b\n") == "Näidis Ωmega 名 \\u001b[2J\\u202eabc\\u009b\n"


@pytest.mark.parametrize("character", ["\x1b", "\x7f", "\x9b", "\u202e", "\u200c", "\u2067", "\U000e0041"])
def test_a_document_cannot_steer_the_terminal_either(capsys, character):
    """With --json the same value comes out, and no character of it that a terminal would obey."""
    said = {"name": f"ليلى {character} שרה 名", "items": [1, "a"]}
    output.answer(said, as_json=True, people=lambda: None)

    shown = capsys.readouterr().out
    assert json.loads(shown) == said
    assert character not in shown
    assert "ليلى" in shown


def test_a_table_cuts_nothing_off_in_a_pipe(capsys):
    """An identifier is whole however long the row is, and a missing cell is empty."""
    output.table(("a", "b"), [("x" * 150, None)])

    shown = capsys.readouterr().out
    assert "x" * 150 in shown
    assert "None" not in shown


def test_the_application_has_exactly_the_commands(trm):
    """No command is without a test of its help."""
    assert set(_names(application.build())) == set(COMMANDS)


@pytest.mark.parametrize("name", ["serve", "trust"])
def test_only_what_is_called_is_made(name):
    """Calling one command makes it or its group and no other, and its help is the same as among all of them."""
    alone, among = (typer.main.get_group(application.build(only)) for only in (name, ""))

    assert set(alone.commands) == {name}
    assert set(among.commands) == {command.split()[0] for command in COMMANDS}
    assert _help(alone.commands[name]) == _help(among.commands[name])


def _help(command: Any) -> str:
    with command.make_context("trm", [], resilient_parsing=True) as context:
        return str(command.get_help(context))


def _names(app: typer.Typer, before: str = "") -> Iterator[str]:
    for item in app.registered_commands:
        yield before + (item.name or str(item.callback.__name__ if item.callback else ""))
    for group in app.registered_groups:
        yield from _names(group.typer_instance or typer.Typer(), f"{before}{group.name} ")


@pytest.mark.parametrize("encoding", ["utf-8", "latin-1", "ascii"])
def test_a_terminal_without_the_letters_is_told_all_the_same(tmp_path: Path, encoding: str):
    """A name in another script is shown by escapes where it must be, and a document is one that every reader takes."""
    file = tmp_path / "Näidis Шевченко 😀.json"
    file.write_bytes(read_schema_file("examples/demo/request.json"))
    command = [sys.executable, "-m", "broker.cli", "validate", str(file)]
    surroundings = {**os.environ, "PYTHONIOENCODING": encoding}
    people, scripts = (
        subprocess.run([*command, *more], env=surroundings, capture_output=True, check=True).stdout
        for more in ([], ["--json"])
    )

    assert people.endswith(b" is a valid family-tracing.request.\n")
    assert "Näidis Шевченко 😀".encode(encoding, "backslashreplace") in people
    assert json.loads(scripts.decode(encoding))["file"] == str(file)


def _explode(_: list[str]) -> int:
    raise ZeroDivisionError("Test-Maarika Näidis")


def _interrupt(_: list[str]) -> int:
    raise KeyboardInterrupt


def test_a_home_in_the_environment_is_taken(trm, monkeypatch, tmp_path: Path):
    """TRM_HOME stands for --home."""
    monkeypatch.setenv("TRM_HOME", str(tmp_path / "elsewhere"))
    ran = trm("inbox", "--json")

    assert ran.json["error"]["where"] == str(tmp_path / "elsewhere")


@pytest.mark.parametrize(
    "command",
    ["inbox", "doctor", "keys list", "audit verify", "broker certificate show", "backup make"],
)
def test_a_home_of_somebody_else_is_no_typing_error(trm, tmp_path, monkeypatch, command):
    """No option looks into a home before its command does: what is forbidden there is told with who must act, as JSON too."""
    monkeypatch.setattr("os.access", lambda *_, **__: False)
    more = ("--to", tmp_path / "data", "--keys-to", tmp_path / "keys") if command == "backup make" else ()
    ran = trm(*command.split(), *more, "--home", tmp_path, "--json")
    assert ran.code in {1, 3}
    assert ran.json
