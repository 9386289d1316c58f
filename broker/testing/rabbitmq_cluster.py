# SPDX-FileCopyrightText: The trm-broker authors
# SPDX-License-Identifier: Apache-2.0
"""Three private RabbitMQ nodes in one cluster, as `deploy/rabbitmq/README.md` asks for; each can be killed and started."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from urllib.parse import quote

from broker.testing.rabbitmq import RabbitServer, rabbitmq_program
from broker.testing.rabbitmq_private import PrivateRabbit

__all__ = ["RabbitCluster", "rabbitmq_cluster"]

_NODES = 3
# Of a cluster that is cut in two only the larger part goes on.
_CONFIG = "cluster_partition_handling = pause_minority\n"


class RabbitCluster:
    """The nodes, and what stands on them."""

    def __init__(self, nodes: tuple[PrivateRabbit, ...]) -> None:
        self.nodes = nodes
        first = nodes[0]
        login = f"{quote(first.user)}:{quote(first.password)}@127.0.0.1"
        self.server = RabbitServer(
            url=f"amqp://{login}:{first.port}/%2F", admin_url=f"http://{login}:{first.admin_port}"
        )

    def leader(self, queue: str, *, vhost: str) -> PrivateRabbit:
        """Return the node that leads a quorum queue.

        Raises:
            RabbitStartFailed: there is no such queue.
        """
        name = self.server.call("GET", f"/api/queues/{quote(vhost, safe='')}/{queue}")["leader"]
        return next(node for node in self.nodes if node.node == name)


@contextlib.contextmanager
def rabbitmq_cluster() -> Iterator[RabbitCluster]:
    """Yield a cluster of the installed program and end it.

    Raises:
        RabbitMissing: it is not here and cannot be installed.
        RabbitStartFailed: a node did not start or join.
    """
    program = rabbitmq_program()
    with contextlib.ExitStack() as stack:
        nodes: list[PrivateRabbit] = []
        for _ in range(_NODES):
            nodes.append(PrivateRabbit(program, config=_CONFIG, beside=nodes[0] if nodes else None))
            stack.callback(nodes[-1].close)
            nodes[-1].start()
        yield RabbitCluster(tuple(nodes))
