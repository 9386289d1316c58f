# SPDX-FileCopyrightText: The trm-broker authors
# SPDX-License-Identifier: Apache-2.0
"""The OpenAPI document says what the running API does."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import jsonschema_rs
import pytest
from jsonschema import Draft202012Validator
from referencing import Registry, Resource
from referencing.jsonschema import DRAFT202012

from broker.api.app import create_app
from broker.api.openapi import describe
from broker.api.routes import ROUTES


@pytest.fixture
def description(services: Any) -> Any:
    """The document as clients get it."""
    return json.loads(json.dumps(describe(services)))


def references(value: Any) -> Iterator[str]:
    """Every reference in a document."""
    if isinstance(value, dict):
        if isinstance(value.get("$ref"), str):
            yield value["$ref"]
        for item in value.values():
            yield from references(item)
    elif isinstance(value, list):
        for item in value:
            yield from references(item)


def validator(description: Any, name: str) -> Draft202012Validator:
    """A validator of one schema of the document."""
    resource = Resource(contents=description, specification=DRAFT202012)
    registry = Registry().with_resource("urn:api", resource)
    return Draft202012Validator({"$ref": f"urn:api#/components/schemas/{name}"}, registry=registry)


def test_every_route_is_described(services: Any, description: Any) -> None:
    """The document has each routed endpoint once, and no other."""
    described = {
        (method.upper(), path, operation["operationId"])
        for path, methods in description["paths"].items()
        for method, operation in methods.items()
    }
    routed = {
        (route.method, route.resource.canonical)
        for route in create_app(services).router.routes()
        if route.resource is not None
    }

    assert described == {(route.method, route.template, route.name) for route in ROUTES}
    assert {(method, path) for method, path, _ in described} == routed


def test_every_reference_leads_somewhere(description: Any) -> None:
    """No reference of the document is broken, and its schemas are schemas."""
    for target in set(references(description)):
        prefix, _, name = target.rpartition("/")
        assert prefix == "#/components/schemas"
        assert name in description["components"]["schemas"]
    for schema in description["components"]["schemas"].values():
        jsonschema_rs.meta.validate(schema)


def test_every_refusal_is_a_problem_document(description: Any) -> None:
    """Each answer from 400 on is described as a problem document; each protected endpoint has 401 and 403."""
    for methods in description["paths"].values():
        for operation in methods.values():
            refusals = {status: answer for status, answer in operation["responses"].items() if status >= "400"}
            assert all("application/problem+json" in answer["content"] for answer in refusals.values())
            assert {"400", "500", "503"} <= refusals.keys()
            if operation["security"] == [{"token": []}]:
                assert {"401", "403"} <= refusals.keys()


def test_submission_schema_is_the_catalogues(description: Any, document: dict[str, Any]) -> None:
    """The example fits the document's submission and body schemas, and a changed one does not."""
    assert not list(validator(description, "Submission").iter_errors(document))
    assert not list(validator(description, "family-tracing.request.1.0").iter_errors(document["body"]))
    assert list(validator(description, "Submission").iter_errors({**document, "urgency": "SOON"}))
    assert list(validator(description, "Submission").iter_errors({**document, "type": "node.receipts"}))


async def test_the_example_is_a_message_that_is_taken(desk: Any, description: Any) -> None:
    """Who has nothing but the description can send what it shows; and it tells where a token comes from."""
    media = description["paths"]["/api/v1/messages"]["post"]["requestBody"]["content"]["application/json"]
    example = media["examples"]["question"]["value"]
    reply = await desk.submit({**example, "recipient": {"country": "FI", "authority": "helsinki-wellbeing-services"}})

    assert not list(validator(description, "Submission").iter_errors(example))
    assert reply.status == 202, reply.text
    assert "trm token" in description["components"]["securitySchemes"]["token"]["description"]


async def test_answers_fit_their_schemas(
    desk: Any, description: Any, document: dict[str, Any], registration: dict[str, Any], names: Any
) -> None:
    """What the API answers, while surge mode is on and the child comes of age, is what its schemas say."""
    token = desk.token()
    document["body"]["child"]["birth"] = {"value": {"date": "2009-02-01", "estimated": False}}
    assert (await desk.submit(registration, key="key-2")).status == 202
    accepted = await desk.submit(document)
    message, procedure = accepted.json["message"], accepted.json["procedure"]
    asked = {
        "MessageList": ("/messages", token),
        "Message": (f"/messages/{message}", token),
        "ProcedureList": ("/procedures", token),
        "Procedure": (f"/procedures/{procedure}", token),
        "Actions": (f"/procedures/{procedure}/actions", token),
        "Timeline": (f"/procedures/{procedure}/timeline", token),
        "AttentionList": ("/attention", token),
        "AuditList": ("/audit", desk.token(role="auditor", authority=names.node)),
        "Health": ("/health", desk.token(role="admin", authority=names.node)),
        "Problem": ("/nowhere", token),
    }

    assert not list(validator(description, "Accepted").iter_errors(accepted.json))
    for name, (path, bearer) in asked.items():
        reply = await desk.ask("GET", f"/api/v1{path}", token=bearer)
        assert not list(validator(description, name).iter_errors(reply.json)), (name, reply.text)
        assert ("surge" in reply.json) == (
            name in {"MessageList", "Message", "ProcedureList", "Procedure", "AttentionList"}
        )


async def test_description_is_open(desk: Any, description: Any) -> None:
    """Anyone may read the description, and it is exactly this document."""
    reply = await desk.ask("GET", "/api/v1/openapi.json")

    assert (reply.status, reply.headers["Content-Type"]) == (200, "application/json")
    assert reply.json == description
    assert description["openapi"].startswith("3.1.")
