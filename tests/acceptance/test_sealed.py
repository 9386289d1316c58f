# SPDX-FileCopyrightText: The trm-broker authors
# SPDX-License-Identifier: Apache-2.0
"""Two offices tell each other what neither node may know: by the commands of the manual, over two real nodes.

Afterwards everything that the nodes hold is searched for it: their files, what they said, and the memory of their processes.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from broker.api.local_issuer import LocalIssuer
from broker.api.tokens import Role
from broker.cli import main
from broker.core.ids import AuthorityId, CountryCode
from broker.demo.client import OfficeClient, until
from broker.demo.processes import node_process
from broker.home import MEMBER_FILE, read_own_member
from broker.schema_files import load_catalogue, read_schema_file
from broker.settings import TOKEN_KEY_FILE
from broker.system import SystemClock
from broker.testing.canaries import CANARIES, found
from broker.testing.federation import Federation, make_federation
from broker.testing.offices import INSIDES
from broker.transport.spool import create
from broker.trust.words import fingerprint_words
from broker.vault import PassphraseWrapper, VaultFile

EE, FI = CountryCode("EE"), CountryCode("FI")
SENDER, RECIPIENT = "EE/social-insurance-board", "FI/helsinki-wellbeing-services"
PASSPHRASE = "only for this test"
WAIT_SECONDS = 60.0
SHELTER = CANARIES[0]
PHOTO = b"\xff\xd8\xff\xe0" + "".join(CANARIES).encode() * 3000


@dataclass
class Walk:
    """What the walk left."""

    folder: Path
    memory: dict[str, bytes] = field(default_factory=dict)  # of each node's process, while it ran
    opened: dict[str, Any] = field(default_factory=dict)
    photo: bytes = b""
    kid: str = ""
    seed: bytes = b""


@pytest.fixture(scope="module")
def walk(tmp_path_factory: pytest.TempPathFactory) -> Walk:
    """Play it once."""
    made = Walk(tmp_path_factory.mktemp("sealed"))
    asyncio.run(_play(made))
    return made


def _trm(*arguments: object) -> None:
    assert main([str(argument) for argument in arguments]) == 0, arguments


async def _play(walk: Walk) -> None:
    folder, desk = walk.folder / "nodes", walk.folder / "desks"
    folder.mkdir()
    desk.mkdir()
    federation = _federation(folder)
    await asyncio.to_thread(_office_key, walk, desk, federation)
    federated = ["--trust", federation.office.folder, "--root", desk / "root.json"]
    async with (
        aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=20)) as http,
        node_process(federation.homes[EE]) as estonia,
        node_process(federation.homes[FI]) as finland,
    ):
        ours = _client(federation, EE, estonia.url, http)
        theirs = _client(federation, FI, finland.url, http)
        asked = await theirs.submit(_request(), key="ask")
        await until("the request came", lambda: _count(ours, 1), seconds=WAIT_SECONDS)
        await asyncio.to_thread(_seal, desk, federated, asked["procedure"])
        sending = ["submit", desk / "sealed.json", "--home", federation.homes[EE], "--json"]
        await asyncio.to_thread(_trm, *sending, "--attach", f"{desk / '1.sealed'}=OTHER")
        drop = federation.homes[FI] / "filedrop" / "in"
        (message,) = await until("it landed", lambda: _landed(drop, "*.json"), seconds=WAIT_SECONDS)
        (photo,) = await until("the file landed", lambda: _landed(drop, "*.sealed"), seconds=WAIT_SECONDS)
        await asyncio.to_thread(_open, walk, desk, message, photo)
        walk.memory = {"EE": _memory(estonia.pid), "FI": _memory(finland.pid)}


def _federation(folder: Path) -> Federation:
    messages, procedures = load_catalogue().speaks()
    federation = make_federation(
        folder, ("EE", "FI"), messages=messages, procedures=procedures, now=SystemClock().now(),
        settings={"EE": {"log_level": "DEBUG"}, "FI": {"log_level": "DEBUG"}},
        filedrop={"FI": (RECIPIENT.partition("/")[2],)},
    )  # fmt: skip
    create(federation.spool_folder, (EE, FI))
    for name, home in federation.homes.items():
        LocalIssuer.create(home / TOKEN_KEY_FILE, us=name, clock=SystemClock())
    return federation


def _office_key(walk: Walk, desk: Path, federation: Federation) -> None:
    """The office makes a key at its own desk; its country's officers list it."""
    (desk / "pass").write_text(PASSPHRASE)
    (desk / "root.json").write_bytes(federation.office.root)
    own = ["--vault", desk / "office.vault", "--passphrase-file", desk / "pass"]
    _trm("keys", "generate", "--authority", RECIPIENT, *own)
    _trm("keys", "export-public", *own, "--out", desk / "keys.json")
    words = fingerprint_words((desk / "keys.json").read_bytes())
    _trm("trust", "authority-key", federation.homes[FI] / MEMBER_FILE, desk / "keys.json", "--words", words)
    federation.office.set(read_own_member(federation.homes[FI], FI), now=datetime.now(UTC))
    federation.office.publish(now=datetime.now(UTC))
    held = VaultFile(desk / "office.vault", PassphraseWrapper(PASSPHRASE.encode())).read()
    walk.seed, walk.kid = held.keys[0].seed, held.entries[0].id


def _request() -> dict[str, Any]:
    return _addressed("best-interests/request-grandmother-or-foster-care", RECIPIENT, SENDER)


def _seal(desk: Path, federated: list[object], procedure: str) -> None:
    """The office in Estonia writes what only the other one may know, and seals it before its node sees anything."""
    data = _addressed("best-interests/information-five-elements", SENDER, RECIPIENT)
    assessment = json.loads(json.dumps(INSIDES["parts/self-assessment.json"]))
    assessment["answers"][0]["words"] = SHELTER
    by = {"name": "Test-Office", "kind": "HEALTH", "country": "EE"}
    health = [
        {"nature": "FACT", "text": name, "by": by, "on": "2026-11-01", "source": "SERVICE_RECORD"} for name in CANARIES
    ]
    data["body"]["elements"].append({"element": "HEALTH", "statements_sealed": {"statements": health}})
    data["body"]["self_assessment"] = assessment
    (desk / "clear.json").write_text(json.dumps({**data, "procedure": procedure}), "utf-8")
    (desk / "Test-Mari.jpg").write_bytes(PHOTO)
    _trm("seal", desk / "clear.json", "--out", desk / "sealed.json", *federated, "--country", "EE")
    _trm(
        "attachment", "seal", desk / "Test-Mari.jpg", "--from", SENDER, "--sealed-to", RECIPIENT, *federated,
        "--out", desk / "1.sealed",
    )  # fmt: skip


def _open(walk: Walk, desk: Path, message: Path, photo: Path) -> None:
    """The office in Finland opens with its own key what its node handed over."""
    own = ["--vault", desk / "office.vault", "--passphrase-file", desk / "pass"]
    _trm("open", message, *own, "--out", desk / "opened.json")
    _trm("attachment", "unseal", photo, "--from", SENDER, *own, "--out", desk / "opened.jpg")
    walk.opened = json.loads((desk / "opened.json").read_text("utf-8"))
    walk.photo = (desk / "opened.jpg").read_bytes()


def _addressed(example: str, sender: str, recipient: str) -> dict[str, Any]:
    data: dict[str, Any] = json.loads(read_schema_file(f"examples/{example}.json"))
    country, _, authority = recipient.partition("/")
    data["sender"] = {"authority": sender.partition("/")[2]}
    data["recipient"] = {"country": country, "authority": authority}
    return {**data, "legal_basis": {"code": "B2B_80"}}


def _client(federation: Federation, name: CountryCode, url: str, http: aiohttp.ClientSession) -> OfficeClient:
    issuer = LocalIssuer.load(federation.homes[name] / TOKEN_KEY_FILE, us=name, clock=SystemClock())
    office = AuthorityId((SENDER if name == EE else RECIPIENT).partition("/")[2])
    tokens = [issuer.issue("test", role, office, timedelta(minutes=10)) for role in (Role.SYSTEM, Role.OFFICER)]
    return OfficeClient(country=name, url=url, http=http, system=tokens[0], officer=tokens[1])


async def _count(client: OfficeClient, count: int) -> bool:
    return len(await client.messages()) == count


async def _landed(drop: Path, pattern: str) -> list[Path]:
    return await asyncio.to_thread(lambda: list(drop.glob(pattern)))


def _memory(pid: int) -> bytes:
    """Return everything that a process has written into its memory."""
    held = bytearray()
    with Path(f"/proc/{pid}/mem").open("rb", buffering=0) as memory:
        for begin, end in _regions(pid):
            memory.seek(begin)
            try:
                held += memory.read(end - begin)
            except OSError:  # a region that went away, or that no one can read
                continue
    return bytes(held)


def _regions(pid: int) -> Iterator[tuple[int, int]]:
    for line in Path(f"/proc/{pid}/maps").read_text("ascii").splitlines():
        span, rights, *_ = line.split()
        if rights.startswith("rw") and "[v" not in line:
            begin, end = (int(part, 16) for part in span.split("-"))
            yield begin, end


def test_the_receiving_office_reads_every_word(walk: Walk) -> None:
    """The child's own words, its health, and the photograph: whole, and as they were written."""
    body = walk.opened["body"]
    assert body["self_assessment"]["answers"][0]["words"] == SHELTER
    assert [item["text"] for item in body["elements"][-1]["statements_sealed"]["statements"]] == list(CANARIES)
    assert walk.photo == PHOTO


def test_nothing_of_it_stands_in_any_file_of_the_nodes(walk: Walk) -> None:
    """Homes with database, journals, logs and attachments, the spool, and the folder in which a node hands over."""
    files = [path for path in (walk.folder / "nodes").rglob("*") if path.is_file()]
    assert {"trm.db", "node.log", "vault.json"} <= {path.name for path in files}
    assert any(path.parent.name == "in" for path in files)
    for path in files:
        content = path.read_bytes()
        assert found(str(path).encode() + content) == set(), path
        assert walk.seed not in content
        assert b"Test-Mari" not in content


@pytest.mark.parametrize("name", ["EE", "FI"])
def test_nothing_of_it_stands_in_the_memory_of_a_node(walk: Walk, name: str) -> None:
    """Neither words nor the key that opens them; the key's id does, so that the search is known to find things."""
    memory = walk.memory[name]
    assert walk.kid.encode() in memory
    for word in CANARIES:
        spellings = (word.encode(), word.encode("utf-16-le"), word.encode("utf-32-le"), json.dumps(word)[1:-1].encode())
        assert not any(spelling in memory for spelling in spellings)
    assert walk.seed not in memory
    assert walk.seed.hex().encode() not in memory
