# SPDX-FileCopyrightText: The trm-broker authors
# SPDX-License-Identifier: Apache-2.0
"""Files go up in parts and come down whole, for the office whose they are."""

from __future__ import annotations

import hashlib
import io
import json
from collections.abc import AsyncIterator
from typing import Any

import pytest

from broker.core.attachments import CHUNK_BYTES, MAX_BYTES
from broker.core.errors import StoreUnavailable

UPLOADS = "/api/v1/attachments"
BYTES = "application/offset+octet-stream"
PLAIN = b"A synthetic text.\n" * 70_000  # two chunks


def _streamed(body: Any) -> Any:
    return io.BytesIO(body) if isinstance(body, bytes) else body


async def begin(desk: Any, size: int, **more: Any) -> Any:
    """Announce a file."""
    headers = {"Upload-Length": str(size), **more.pop("headers", {})}
    if "data" in more:
        more["data"] = _streamed(more["data"])
    return await desk.ask("POST", UPLOADS, token=more.pop("token", None) or desk.token(), headers=headers, **more)


async def send(desk: Any, upload: str, offset: int, body: Any, **more: Any) -> Any:
    """Send bytes from an offset on."""
    headers = {"Upload-Offset": str(offset), "Content-Type": more.pop("kind", BYTES)}
    token = more.pop("token", None) or desk.token()
    return await desk.ask("PATCH", f"{UPLOADS}/{upload}", token=token, headers=headers, data=_streamed(body))


async def attached(desk: Any, document: dict[str, Any], plain: bytes = PLAIN, name: str = "Õie märkus.txt") -> Any:
    """Upload a file and submit a message with it."""
    upload = (await begin(desk, len(plain), data=plain, headers={"Content-Type": BYTES})).json["upload"]
    return await desk.submit({**document, "attachments": [{"upload": upload, "name": name, "kind": "REPORT"}]})


async def test_a_file_goes_up_at_once_or_in_parts(desk: Any) -> None:
    """Either way its digest and type come out, and the offset says how far it is."""
    at_once = await begin(desk, len(PLAIN), data=PLAIN, headers={"Content-Type": BYTES})
    begun = await begin(desk, len(PLAIN))
    assert (begun.status, begun.json["offset"], begun.headers["Upload-Offset"]) == (201, 0, "0")
    upload = begun.json["upload"]
    first = await send(desk, upload, 0, PLAIN[:CHUNK_BYTES])
    assert (first.status, first.json["offset"], "digest" in first.json) == (200, CHUNK_BYTES, False)
    last = await send(desk, upload, CHUNK_BYTES, PLAIN[CHUNK_BYTES:])

    assert at_once.status == 201
    for whole in (at_once, last):
        assert whole.json["digest"] == hashlib.sha256(PLAIN).hexdigest()
        assert whole.json["media_type"] == "text/plain"
    shown = await desk.ask("GET", begun.headers["Location"], token=desk.token())
    assert shown.json == last.json


async def test_an_upload_goes_on_where_it_was_cut(desk: Any) -> None:
    """Whole MiB are kept; HEAD says how many, and what was cut is sent again."""

    async def cut() -> AsyncIterator[bytes]:
        yield PLAIN[: CHUNK_BYTES + 5]

    upload = (await begin(desk, len(PLAIN))).json["upload"]
    await send(desk, upload, 0, cut())
    asked = await desk.ask("HEAD", f"{UPLOADS}/{upload}", token=desk.token())
    assert (asked.status, asked.headers["Upload-Offset"], asked.text) == (200, str(CHUNK_BYTES), "")
    whole = await send(desk, upload, CHUNK_BYTES, PLAIN[CHUNK_BYTES:])

    assert whole.json["digest"] == hashlib.sha256(PLAIN).hexdigest()


async def test_an_upload_at_its_end_can_be_attached(
    desk: Any, document: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Cut while the node looks at the file, it is not at its end: its last MiB is sent again, and then it is whole."""

    async def cut(*_: object) -> bytes:
        raise StoreUnavailable

    upload = (await begin(desk, len(PLAIN))).json["upload"]
    with monkeypatch.context() as meanwhile:
        meanwhile.setattr(desk.services.desk.blobs, "get", cut)
        unanswered = await send(desk, upload, 0, PLAIN)
    asked = await desk.ask("HEAD", f"{UPLOADS}/{upload}", token=desk.token())
    await send(desk, upload, CHUNK_BYTES, PLAIN[CHUNK_BYTES:])
    accepted = await desk.submit({**document, "attachments": [{"upload": upload, "name": "a.txt", "kind": "REPORT"}]})

    assert (unanswered.status, asked.headers["Upload-Offset"]) == (503, str(CHUNK_BYTES))
    assert accepted.status == 202, accepted.text


@pytest.mark.parametrize(
    ("size", "code"),
    [("0", "attachment-refused"), (str(MAX_BYTES + 1), "attachment-refused"), ("-1", "bad-request"), ("x", "bad-request"),
     ("1" * 13, "bad-request"), ("", "bad-request")],
)  # fmt: skip
async def test_an_impossible_size_is_refused(desk: Any, size: str, code: str) -> None:
    """Nothing is begun."""
    refused = await begin(desk, size)  # type: ignore[arg-type]  # what a caller may write

    assert (refused.status >= 400, refused.json["code"]) == (True, code)


async def test_what_does_not_continue_an_upload_is_refused(desk: Any) -> None:
    """Another offset, another type, too much, another office: the upload stays as it was."""
    upload = (await begin(desk, 10)).json["upload"]
    other = desk.token(authority="ministry-of-justice")

    assert (await send(desk, upload, 5, b"12345")).json["code"] == "upload-conflict"
    assert (await send(desk, upload, 0, b"12345", kind="text/plain")).json["code"] == "unsupported-media-type"
    assert (await send(desk, upload, 0, b"12345678901")).json["code"] == "attachment-refused"
    assert (await send(desk, upload, 0, b"1234567890", token=other)).json["code"] == "not-found"
    assert (await send(desk, "0" * 32, 0, b"1")).json["code"] == "not-found"
    assert (await send(desk, "..", 0, b"1")).status == 404
    assert (await desk.ask("GET", f"{UPLOADS}/{upload}", token=desk.token())).json["offset"] == 0


async def test_a_file_that_may_not_travel_is_gone(desk: Any) -> None:
    """A program is refused with its last byte, and nothing of it stays."""
    upload = (await begin(desk, 4)).json["upload"]
    refused = await send(desk, upload, 0, b"MZ\x90\x00")

    assert (refused.status, refused.json["code"]) == (422, "attachment-refused")
    assert (await desk.ask("GET", f"{UPLOADS}/{upload}", token=desk.token())).status == 404


async def test_a_message_takes_the_file_and_shows_no_key(desk: Any, document: dict[str, Any]) -> None:
    """The upload ends, the description is there with its progress, and what opens it is nowhere."""
    accepted = await attached(desk, document)
    assert accepted.status == 202, accepted.text
    read = await desk.ask("GET", accepted.headers["Location"], token=desk.token())

    (described,) = read.json["content"]["header"]["attachments"]
    assert described == {
        "name": "Õie märkus.txt", "kind": "REPORT", "media_type": "text/plain", "size": len(PLAIN), "chunks": 2,
        "digest": hashlib.sha256(PLAIN).hexdigest(),
    }  # fmt: skip
    assert read.json["attachments"] == [{"place": 0, "chunks": 2, "moved": 0, "complete": False}]
    assert '"key"' not in read.text


async def test_the_same_submission_gets_the_same_answer_although_its_upload_is_gone(
    desk: Any, document: dict[str, Any]
) -> None:
    """A caller that did not hear the answer asks again; another message cannot take the file."""
    upload = (await begin(desk, 4, data=b"text", headers={"Content-Type": BYTES})).json["upload"]
    with_file = {**document, "attachments": [{"upload": upload, "name": "a.txt", "kind": "REPORT"}]}
    first, second = await desk.submit(with_file), await desk.submit(with_file)
    other = await desk.submit(with_file, key="key-2")

    assert (second.json["message"], second.json["repeated"]) == (first.json["message"], True)
    assert (other.status, other.json["code"], other.json["where"]) == (404, "not-found", "/attachments/0/upload")


@pytest.mark.parametrize(
    ("change", "code", "where"),
    [
        ({"name": "../a.txt"}, "header-invalid", "/attachments/0/name"),
        ({"name": "a.pdf"}, "attachment-refused", "/attachments/0/name"),
        ({"name": "a\u202e.txt"}, "attachment-refused", "/attachments/0/name"),
        ({"kind": "SECRET"}, "schema-invalid", "/attachments/0/kind"),
        ({"upload": "x"}, "schema-invalid", "/attachments/0/upload"),
        ({"upload": "0" * 32}, "not-found", "/attachments/0/upload"),
    ],
)
async def test_a_wrong_attachment_is_refused_at_its_place(
    desk: Any, document: dict[str, Any], change: dict[str, Any], code: str, where: str
) -> None:
    """Nothing is stored, and the upload can still be attached."""
    upload = (await begin(desk, 4, data=b"text", headers={"Content-Type": BYTES})).json["upload"]
    right = {"upload": upload, "name": "a.txt", "kind": "REPORT"}
    refused = await desk.submit({**document, "attachments": [{**right, **change}]})

    assert (refused.json["code"], refused.json["where"]) == (code, where), refused.text
    assert (await desk.submit({**document, "attachments": [right]})).status == 202


async def test_an_unfinished_upload_cannot_be_attached(desk: Any, document: dict[str, Any]) -> None:
    """Its bytes are not all here."""
    upload = (await begin(desk, 4)).json["upload"]
    refused = await desk.submit({**document, "attachments": [{"upload": upload, "name": "a.txt", "kind": "REPORT"}]})

    assert (refused.status, refused.json["code"]) == (409, "attachment-incomplete")


async def test_a_download_is_whole_safe_to_save_and_audited(desk: Any, document: dict[str, Any]) -> None:
    """A browser saves it under its name and shows it nowhere; who read it is on record."""
    accepted = (await attached(desk, document)).json
    digest = hashlib.sha256(PLAIN).hexdigest()
    path = f"/api/v1/messages/{accepted['message']}/attachments/{digest}"
    read = await desk.ask("GET", path, token=desk.token())

    assert (read.status, read.text.encode()) == (200, PLAIN)
    assert read.headers["Content-Type"] == "text/plain"
    assert read.headers["X-Content-Type-Options"] == "nosniff"
    assert read.headers["Cache-Control"] == "no-store"
    assert "sandbox" in read.headers["Content-Security-Policy"]
    assert read.headers["Content-Disposition"] == (
        "attachment; filename=\"attachment.txt\"; filename*=UTF-8''%C3%95ie%20m%C3%A4rkus.txt"
    )
    audited = await desk.store.read(lambda reader: reader.audit(cursor=None, limit=100))
    assert [(row.actor, row.subject) for row in audited.items if row.action == "attachment-read"] == [
        ("officer-17", accepted["message"])
    ]


async def test_a_download_is_limited_to_the_office(desk: Any, document: dict[str, Any]) -> None:
    """Another office, another digest, another message: there is no such thing."""
    accepted = (await attached(desk, document)).json
    digest = hashlib.sha256(PLAIN).hexdigest()
    other = desk.token(authority="ministry-of-justice")
    path = f"/api/v1/messages/{accepted['message']}/attachments"

    assert (await desk.ask("GET", f"{path}/{digest}", token=other)).status == 404
    assert (await desk.ask("GET", f"{path}/{'0' * 64}", token=desk.token())).status == 404
    assert (await desk.ask("GET", f"{path}/x", token=desk.token())).status == 404
    assert (await desk.ask("GET", f"{path}/{digest}", token=desk.token("auditor", "node"))).status == 403


async def test_nothing_of_a_file_is_in_the_log(desk: Any, document: dict[str, Any], log_text: Any) -> None:
    """Neither its name nor its digest nor its upload."""
    accepted = await attached(desk, document, name="Kanaarilind.txt")
    digest = hashlib.sha256(PLAIN).hexdigest()
    await desk.ask("GET", f"/api/v1/messages/{accepted.json['message']}/attachments/{digest}", token=desk.token())

    assert "readAttachment" not in log_text.getvalue()
    assert "Kanaarilind" not in log_text.getvalue()
    assert digest not in log_text.getvalue()
    assert json.dumps(accepted.json)
