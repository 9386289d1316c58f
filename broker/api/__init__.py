# SPDX-FileCopyrightText: The trm-broker authors
# SPDX-License-Identifier: Apache-2.0
"""The JSON API, version 1: aiohttp, problem documents (RFC 9457), OpenAPI 3.1.

- Every request but health and the OpenAPI document carries a bearer token; its authority limits what is read and done.
- What belongs to another authority is answered like what does not exist: 404.
- Every refusal is a problem document built in `problems`; no value of a request is ever repeated in one.
- `routes` is the one table of endpoints: the router, the roles, the OpenAPI document and the tests come from it.
- Nothing of a raw path, query, header or body is logged or counted (promise P5).
"""
