# SPDX-FileCopyrightText: The trm-broker authors
# SPDX-License-Identifier: Apache-2.0
"""The front page is true: its commands exist, its demonstration looks as shown, its links lead somewhere."""

from __future__ import annotations

import os
import re
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text("utf-8")


def _make(*arguments: str, stderr: int = subprocess.PIPE) -> str:
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("MAKE", "MFLAGS"))}
    done = subprocess.run(
        ["make", *arguments],
        cwd=ROOT,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=stderr,
        text=True,
        timeout=240,
        check=False,
    )
    assert done.returncode == 0, f"{done.stdout}{done.stderr or ''}"
    return done.stdout


def _timeless(text: str) -> list[str]:
    """Return the lines without what differs from run to run: times, digests, ports, folders, rules, and which RabbitMQ."""
    text = re.sub(r"\d\d:\d\d:\d\d\.\d{3}", "TIME", text)
    text = re.sub(r"\b(?=[0-9a-f]*\d)[0-9a-f]{12,64}\b", "DIGEST", text)
    text = re.sub(r"/\S*trm-demo-\w+", "FOLDER", text)
    text = re.sub(r"RabbitMQ: .*", "RABBITMQ", text)
    text = re.sub(r"\(\d+\.\d seconds", "(N seconds", text)
    lines = [re.sub(r"\s+", " ", line).strip(" ─") for line in text.splitlines()]
    return [line for line in lines if line]


@pytest.mark.rabbitmq
def test_the_demonstration_looks_as_shown() -> None:
    """`make demo` prints what the README shows, apart from times, digests, ports and folders."""
    shown = README.split("$ make demo\n", 1)[1].split("```", 1)[0]
    assert _timeless(_make("demo", stderr=subprocess.STDOUT)) == _timeless(shown)


def test_the_demonstration_needs_no_server() -> None:
    """`make demo TRANSPORT=spool JSON=1` is the command whose one document `test_demo` looks through."""
    command = _make("--dry-run", "demo", "TRANSPORT=spool", "JSON=1").splitlines()[-1]
    assert command.split() == [".venv/bin/trm", "demo", "--transport", "spool", "--json"]


def test_every_target_named_exists() -> None:
    """Each `make …` of the README is a target."""
    targets = set(re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text("utf-8"), re.MULTILINE))
    named = set(re.findall(r"make ([a-z]+)", README))
    assert {"demo", "test", "check", "bench"} <= named <= targets


def test_every_link_leads_somewhere() -> None:
    """Each relative link of the manuals names a file that is there."""
    pages = [page for page in ROOT.rglob("*.md") if not any(part.startswith(".") for part in page.parts)]
    links = [
        (page, target)
        for page in pages
        for target in re.findall(r"\]\(([^)#:\s]+)(?:#[^)]*)?\)", re.sub(r"`[^`\n]*`", "", page.read_text("utf-8")))
    ]
    broken = [f"{page.name}: {target}" for page, target in links if not (page.parent / target).exists()]
    assert links
    assert broken == []


def test_the_procedures_named_are_those_that_speak() -> None:
    """Neither more nor less than there are procedure tables."""
    tables = {file.stem for file in (ROOT / "schemas" / "procedures").glob("*.json")}
    text = " ".join(README.split())
    spoken = text.split("Procedures that speak today: ", 1)[1].split(". ", 1)[0]
    assert set(re.findall(r"`([a-z-]+)`", spoken)) == tables
