# SPDX-FileCopyrightText: The trm-broker authors
# SPDX-License-Identifier: Apache-2.0
"""Stored vectors of records give what they say, to the product and to a reader written from the specification."""

import ast
import importlib.util
import json
import random
import subprocess
import sys
from collections import Counter
from datetime import datetime
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from broker.core.ids import CountryCode, Digest, MessageId
from broker.core.messages import RecordEntry
from broker.core.procedures import ProcedureTable
from broker.core.receipts import Receipt, ReceiptKind
from broker.core.record import Mark, closure_digest, fold
from broker.core.tables import parse_table

HERE = Path(__file__).parent
FILES = sorted((HERE / "records").glob("*.json"))
SHIPPED = [HERE.parents[1] / "schemas" / "procedures" / name for name in ("transfer.json", "placement.json")]


@pytest.fixture(scope="module")
def reader() -> ModuleType:
    """The second reader."""
    spec = importlib.util.spec_from_file_location("record_reader", HERE / "record_reader.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def _product(table: ProcedureTable, vector: dict[str, Any]) -> dict[str, Any]:
    opener, entries, receipts = CountryCode(vector["opener"]), [], []
    for item in vector["messages"]:
        ids = {"digest": Digest(item["digest"]), "message": MessageId(item["message"])}
        parents = tuple(map(Digest, item["parents"]))
        entries.append(
            RecordEntry(**ids, author=CountryCode(item["author"]), act=item["act"], parents=parents, code=item.get("code"))
        )  # fmt: skip
    for item in vector["answers"]:
        sides = {name: CountryCode(item[name]) for name in ("issuer", "author")}
        ids = {"digest": Digest(item["digest"]), "message": MessageId(item["message"])}
        kind, at, heads = (
            ReceiptKind(item["kind"]),
            datetime.fromisoformat(item["at"]),
            tuple(map(Digest, item["heads"])),
        )
        receipts.append(Receipt(**sides, **ids, kind=kind, at=at, heads=heads, code=item.get("code")))
    folded = fold(table, opener, entries, receipts)
    return {
        "alarms": sorted([alarm.message, sorted(alarm.closed_by)] for alarm in folded.state.alarms),
        "digest": closure_digest(table, opener, entries, receipts, folded.heads),
        "final": sorted(folded.final),
        "heads": list(folded.heads),
        "marks": dict(folded.marks),
        "order": list(folded.order),
        "state": folded.state.name,
    }


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_the_product_gives_what_the_vector_says(file: Path) -> None:
    """Order, marks, heads, state, alarms, what is final, and the digest over the heads."""
    vector = json.loads(file.read_bytes())

    assert _product(parse_table(vector["table"]), vector) == vector["expect"]


def test_a_fresh_set_is_the_stored_one(tmp_path: Path) -> None:
    """Nothing in a case is random, and what is expected of it is what the second reader works out."""
    subprocess.run([sys.executable, str(HERE / "record_cases.py"), str(tmp_path)], check=True, timeout=60)

    assert len(FILES) > 40
    assert {file.name: file.read_bytes() for file in tmp_path.iterdir()} == {
        file.name: file.read_bytes() for file in FILES
    }


def test_the_second_reader_shares_nothing_with_the_product() -> None:
    """It imports the standard library alone."""
    nodes = list(ast.walk(ast.parse((HERE / "record_reader.py").read_text(encoding="utf-8"))))
    modules = {node.module for node in nodes if isinstance(node, ast.ImportFrom)}
    modules |= {alias.name for node in nodes if isinstance(node, ast.Import) for alias in node.names}

    assert modules == {"__future__", "hashlib", "json", "typing"}


def test_both_readers_agree_on_any_record(reader: ModuleType) -> None:
    """Whatever two sides, honest or not, write and answer, in any procedure: the same to the last member."""
    tables = [(raw, parse_table(raw)) for raw in (json.loads(file.read_bytes()) for file in SHIPPED)]
    marks = Counter[str]()
    for seed in range(400):
        dice = random.Random(seed)
        raw, table = dice.choice(tables)
        vector = _any_record(dice, raw)
        product = _product(table, vector)
        assert product == reader.read(vector), seed
        marks.update(product["marks"].values())

    assert set(marks) == set(Mark)
    assert min(marks.values()) > 50


def _any_record(dice: random.Random, table: dict[str, Any]) -> dict[str, Any]:
    """Return messages in disorder: forks, gaps, refusals, and answers that say anything."""
    acts, messages, answers = table["acts"], list[dict[str, Any]](), list[dict[str, Any]]()
    telling = [name for name, act in acts.items() if act["kind"] == "fact" or {"stop", "irreversible"} & act.keys()]
    digests = [f"{dice.getrandbits(256):064x}" for _ in range(dice.randrange(2, 9))]
    chain = dice.random() < 0.5
    for number, digest in enumerate(digests):
        named = set(dice.sample(digests[:number], min(number, dice.choice((0, 1, 1, 2)))))
        named |= {"cd" * 32} if dice.random() < 0.04 else set()
        named |= {digests[number - 1]} if chain and number and dice.random() < 0.8 else set()
        opening = [name for name, act in acts.items() if act.get("opens")]
        act = dice.choice(
            opening if not number else [*telling, "alarm-closed"] if dice.random() < 0.5 else [*acts, "dance"]
        )
        messages.append({
            "act": act,
            "author": "EE" if not number and dice.random() < 0.9 else dice.choice(("EE", "FI")),
            "digest": digest,
            "message": f"01890000-0000-7000-8000-{number:012x}",
            "parents": sorted(named),
        } | ({"code": "schema-invalid"} if dice.random() < 0.07 else {}))  # fmt: skip
    for message in dice.choices(messages, k=dice.randrange(len(messages) + 3)):
        heads = set(dice.sample(digests, min(len(digests), dice.choice((0, 1, 1, 2)))))
        heads |= {message["digest"]} if dice.random() < 0.8 else {"ab" * 32} if dice.random() < 0.1 else set()
        refused = {"code": message["code"], "kind": "refused"} if "code" in message else {"kind": "delivered"}
        other = (
            {"issuer": "FI" if message["author"] == "EE" else "EE"}
            if dice.random() < 0.95
            else {"issuer": message["author"]}
        )
        about = {name: message[name] for name in ("author", "digest", "message")}
        at = f"2026-11-22T03:0{dice.randrange(4)}:00.000Z"
        answers.append({**about, **other, **refused, "at": at, "heads": sorted(heads)})
    return {"answers": answers, "messages": messages, "opener": "EE", "table": table}
