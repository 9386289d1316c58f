# SPDX-FileCopyrightText: The trm-broker authors
# SPDX-License-Identifier: Apache-2.0
"""A private RabbitMQ under the very configuration that `deploy/rabbitmq` ships: TLS 1.3, login by certificate only.

Only places differ: ``/etc/rabbitmq`` is `etc`, the ports are free ones on the loopback, the disk limit is a test's.
"""

from __future__ import annotations

from pathlib import Path

from broker.testing.rabbitmq_private import PrivateRabbit

__all__ = ["ShippedRabbit"]

_SHIPPED = "/etc/rabbitmq"
_PLACES = """\
listeners.ssl.default = 127.0.0.1:{amqps}
management.tcp.port = {admin}
disk_free_limit.absolute = 50MB
log.console = false
"""


class ShippedRabbit(PrivateRabbit):
    """Put certificates into ``etc/tls`` and definitions into ``etc/trm-definitions.json``, then start."""

    def __init__(self, program: Path, deployed: Path) -> None:
        """Args:
        program: the `rabbitmq-server` script.
        deployed: the folder with ``rabbitmq.conf`` and ``advanced.config``.
        """
        self._deployed = deployed
        super().__init__(program)

    @property
    def etc(self) -> Path:
        """What the configuration calls ``/etc/rabbitmq``."""
        return self._folder / "etc"

    @property
    def admin_url(self) -> str:
        """The management API."""
        return f"http://127.0.0.1:{self.admin_port}"

    def add_operator(self) -> None:
        """Make an administrator as the manual says: a first start with definitions makes none.

        Raises:
            RabbitStartFailed: rabbitmqctl failed.
        """
        self.control("add_user", self.user, self.password)
        self.control("set_user_tags", self.user, "administrator")
        self.control("set_permissions", "-p", "trm", self.user, "", "", ".*")

    def _write_files(self, config: str) -> None:
        super()._write_files(config)
        self.etc.mkdir()
        for name in ("rabbitmq.conf", "advanced.config"):
            text = (self._deployed / name).read_text("ascii")
            (self._folder / name).write_text(text.replace(_SHIPPED, str(self.etc)))
        places = _PLACES.format(amqps=self.port, admin=self.admin_port)
        (self._folder / "conf.d" / "90-places.conf").write_text(places)
