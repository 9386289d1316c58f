# SPDX-FileCopyrightText: The trm-broker authors
# SPDX-License-Identifier: Apache-2.0
"""Keeping, erasing and passing on over HTTP."""

from __future__ import annotations

from typing import Any

import pytest

from broker.core.ids import CountryCode, Digest, MessageId
from broker.core.receipts import Receipt, ReceiptKind

API = "/api/v1"


@pytest.fixture
async def sent(desk: Any, document: dict[str, Any]) -> dict[str, Any]:
    """A message that is on its way."""
    found: dict[str, Any] = (await desk.submit(document)).json
    return found


@pytest.fixture
def case(sent: dict[str, Any]) -> str:
    """The procedure that it opened."""
    return str(sent["procedure"])


async def _post(desk: Any, path: str, body: dict[str, Any], subject: str = "officer-17", **token: Any) -> Any:
    return await desk.ask("POST", f"{API}{path}", token=desk.token(subject=subject, **token), json=body)


async def test_a_case_is_listed_held_and_reviewed(desk: Any, case: str) -> None:
    """Each says until when it is kept and why; a decision twice is a conflict."""
    (item,) = (await desk.ask("GET", f"{API}/retention", token=desk.token())).json["items"]
    assert (item["procedures"], item["due"], item["rule"]["kind"]) == ([case], False, "PRODUCT_DEFAULT")
    assert (await desk.ask("GET", f"{API}/retention?due=true", token=desk.token())).json["items"] == []

    held = await _post(desk, "/retention/hold", {"case": case, "why": "complaint"})
    assert (held.status, held.json["hold"]["why"], held.json["hold"]["by"]) == (200, "complaint", "officer-17")
    again = await _post(desk, "/retention/hold", {"case": case, "why": "complaint"})
    assert (again.status, again.json["code"]) == (409, "already-settled")
    freed = await _post(desk, "/retention/hold", {"case": case, "release": True})
    assert "hold" not in freed.json
    until = item["review"].replace(item["review"][:4], str(int(item["review"][:4]) + 1))
    kept = await _post(desk, "/retention/review", {"case": case, "keep_until": until, "why": "duty-of-law"})
    assert (kept.json["review"], kept.json["keep"]["why"]) == (until, "duty-of-law")


async def test_an_erasure_says_what_goes_and_what_speaks_against_it(desk: Any, case: str) -> None:
    """A list alone proposes nothing; what hinders it is a problem with its code."""
    asked = {"case": case, "reason": "no-longer-needed"}
    listed = (await _post(desk, "/erasures", {**asked, "dry_run": True})).json
    assert [one["code"] for one in listed["listed"]["hindrances"]] == ["case-open", "messages-owed"]
    assert "erasure" not in listed
    refused = await _post(desk, "/erasures", asked)
    assert (refused.status, refused.json["code"]) == (409, "case-open")
    assert (await desk.ask("GET", f"{API}/erasures", token=desk.token())).json["items"] == []


async def test_two_officers_erase(desk: Any, sent: dict[str, Any], case: str) -> None:
    """One proposes, another confirms; neither a system nor another office does either."""
    message = MessageId(sent["message"])
    taken = Receipt(
        issuer=CountryCode("FI"), author=CountryCode("EE"), message=message, digest=Digest(sent["digest"]),
        kind=ReceiptKind.DELIVERED, at=desk.clock.now(),
    )  # fmt: skip
    assert await desk.store.run(lambda tx: tx.settle_outbox([taken]))
    asked = {"case": case, "reason": "court-order"}
    for token in ({"role": "system"}, {"role": "admin"}):
        assert (await _post(desk, "/erasures", asked, **token)).status == 403
    made = (await _post(desk, "/erasures", asked)).json["erasure"]
    path = f"/erasures/{made['id']}"
    alone = await _post(desk, f"{path}/confirm", {})
    assert (alone.status, alone.json["code"]) == (403, "forbidden")
    stranger = await _post(desk, f"{path}/confirm", {}, "officer-3", authority="ministry-of-justice")
    assert stranger.status == 404

    done = await _post(desk, f"{path}/confirm", {}, "officer-2")
    assert (done.status, done.json["state"], done.json["decided_by"]) == (200, "erased", "officer-2")
    (item,) = (await desk.ask("GET", f"{API}/erasures", token=desk.token())).json["items"]
    assert (item["id"], item["to_remove"]) == (made["id"], 1)
    assert (await _post(desk, f"{path}/reject", {}, "officer-2")).json["code"] == "already-settled"
    again = (await _post(desk, "/erasures", asked)).json
    assert (again["code"], again["who_must_act"]) == ("case-erased", "caller")


async def test_an_erased_message_says_so_to_whom_it_would_have_been_shown(
    desk: Any, sent: dict[str, Any], case: str, assert_problem: Any
) -> None:
    """An officer learns when and by which decision, a system when; another office learns nothing, as before."""
    taken = Receipt(
        issuer=CountryCode("FI"), author=CountryCode("EE"), message=MessageId(sent["message"]),
        digest=Digest(sent["digest"]), kind=ReceiptKind.DELIVERED, at=desk.clock.now(),
    )  # fmt: skip
    assert await desk.store.run(lambda tx: tx.settle_outbox([taken]))
    path = f"{API}/messages/{sent['message']}"
    before = await desk.ask("GET", path, token=desk.token(authority="ministry-of-justice"))
    assert "erased" not in (await desk.ask("GET", f"{API}/procedures/{case}", token=desk.token())).json
    made = (await _post(desk, "/erasures", {"case": case, "reason": "court-order"})).json["erasure"]["id"]
    await _post(desk, f"/erasures/{made}/confirm", {}, "officer-2")

    seen = await desk.ask("GET", path, token=desk.token())
    assert_problem(seen, 410, "message-erased")
    when = "It was erased here at 2026-11-22T03:00:00.000Z"
    stays = f"Its times and receipts stay in procedure {case}."
    assert seen.json["detail"] == f"{when} by erasure {made} (court-order). {stays}"
    system = await desk.ask("GET", path, token=desk.token(role="system"))
    assert (system.status, system.json["detail"]) == (410, f"{when}. {stays}")
    for more in ("/attachments/" + "0" * 64, "?direction=out&peer=FI"):
        assert_problem(await desk.ask("GET", path + more, token=desk.token()), 410, "message-erased")
    assert_problem(
        await _post(desk, f"/messages/{sent['message']}/resend", {"reason": "no-answer"}), 410, "message-erased"
    )
    for more in ("?direction=in", "?peer=SE"):
        assert_problem(await desk.ask("GET", path + more, token=desk.token()), 404, "not-found")

    after = await desk.ask("GET", path, token=desk.token(authority="ministry-of-justice"))
    assert (after.status, after.json) == (before.status, before.json) == (404, after.json)
    read = (await desk.ask("GET", f"{API}/procedures/{case}", token=desk.token())).json
    assert read["erased"] == "2026-11-22T03:00:00.000Z"
    assert (await desk.ask("GET", f"{API}/procedures/{case}/actions", token=desk.token())).json["items"] == []


async def test_a_correction_is_passed_on(desk: Any, case: str) -> None:
    """A list alone sends nothing; the office is named, and a wrong detail is told by its code."""
    asked = {"case": case, "kind": "erase", "reason": "unlawful", "office_kind": "CENTRAL_AUTHORITY"}
    (one,) = (await _post(desk, "/corrections", {**asked, "dry_run": True})).json["items"]
    assert one["recipient"]["country"] == "FI"
    assert "message" not in one
    (sent,) = (await _post(desk, "/corrections", asked)).json["items"]
    assert "message" in sent or "code" in sent
    nothing = await _post(desk, f"/messages/{one['targets'][0][:8]}/report", {"outcome": "DONE"})
    assert nothing.status == 404


@pytest.mark.parametrize(
    ("path", "body", "where"),
    [
        ("/erasures", {"case": "x", "reason": "objection"}, "/case"),
        ("/erasures", {"case": "CASE", "reason": "exercise-over"}, "/reason"),
        ("/erasures", {"case": "CASE", "reason": "objection", "dry_run": 1}, "/dry_run"),
        ("/retention/hold", {"case": "CASE"}, "/why"),
        ("/retention/hold", {"case": "CASE", "why": "complaint", "release": True}, "/release"),
        ("/retention/review", {"case": "CASE", "keep_until": "soon", "why": "duty-of-law"}, "/keep_until"),
        ("/corrections", {"case": "CASE", "kind": "restrict", "reason": "objection"}, "/reason"),
        ("/corrections", {"case": "CASE", "kind": "restrict", "details": []}, "/details"),
        ("/corrections", {"case": "CASE", "kind": "restrict", "messages": ["x"]}, "/messages"),
        ("/corrections", {"case": "CASE", "kind": "restrict", "office_kind": 1}, "/office_kind"),
    ],
)
async def test_what_is_no_order_is_refused_with_its_place(
    desk: Any, case: str, path: str, body: dict[str, Any], where: str
) -> None:
    """Nothing is stored."""
    given = {name: case if value == "CASE" else value for name, value in body.items()}
    reply = await _post(desk, path, given)
    assert (reply.status, reply.json["code"], reply.json["where"]) == (400, "bad-request", where)
