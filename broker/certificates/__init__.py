# SPDX-FileCopyrightText: The trm-broker authors
# SPDX-License-Identifier: Apache-2.0
"""Certificates for the message broker: who a node is to RabbitMQ, and how it knows that it talks to the right one.

- They open a connection and nothing else: what is inside a message is sealed and signed by the vault's keys.
- A certificate authority of the federation's own issues them. One whose names nobody else can give is the point: to
  RabbitMQ the common name is the user, so whatever other authority it trusted could speak for any country.
- A key and its certificate stand in one file, so that no reader ever sees one without the other.
- `identity` judges, `authority` issues and revokes, `request` asks, `folder` keeps what a node shows.
- `servers` is about web servers alone: what their certificates are judged by.
"""
