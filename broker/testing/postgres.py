# SPDX-FileCopyrightText: The trm-broker authors
# SPDX-License-Identifier: Apache-2.0
"""A private PostgreSQL for tests: the one that is named, else one that is started from what this machine has.

In this order: ``TRM_TEST_POSTGRES_URL`` (its user may create databases); installed binaries; Debian packages when we are
root; Docker. One printed line says which. What was started is ended with the block, and also when this process dies.
A test that lets a server crash takes one of our own, whatever is named.
"""

from __future__ import annotations

import os
import pwd
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from uuid import uuid4

import psycopg
from psycopg import sql
from sqlalchemy import make_url

from broker.testing.packages import container_runs, install_packages, may_install

__all__ = ["URL_VARIABLE", "PostgresServer", "postgres", "postgres_program", "postgres_server", "waits_for_lock"]

URL_VARIABLE = "TRM_TEST_POSTGRES_URL"

_DEBIAN_HOME = Path("/usr/lib/postgresql")
_DEBIAN_CLUSTERS = Path("/etc/postgresql-common/createcluster.d")
_IMAGE = "postgres:17"
_READY_SECONDS = 60
_STOP_SECONDS = 20
# The shell ends the server when its input closes: also when this process was killed and could not end it itself.
# At once, without writing out what is thrown away a moment later.
_WATCHED = '"$@" & server=$!; cat > /dev/null; kill -QUIT "$server"; wait "$server"; rm -rf "$HOME"'
_BLOCKED = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND cardinality(pg_blocking_pids(pid)) > 0"
_FILLED = "SELECT tablename FROM pg_tables WHERE schemaname = 'public' AND tablename <> 'alembic_version'"
_WAL_WRITER = "SELECT pid FROM pg_stat_activity WHERE backend_type = 'walwriter'"  # writes what no commit waits for
_SIGNAL = sql.SQL("COPY (SELECT) TO PROGRAM 'cat > /dev/null; kill -{signal} {pid}'")  # what it is given it reads
_SETTINGS = {
    "listen_addresses": "",  # a socket in a private directory only
    "fsync": "on",
    "recovery_init_sync_method": "syncfs",  # after a crash: one call instead of one for each file of each database
    "max_wal_size": "4GB",  # no checkpoint within a run: each new database writes seven megabytes
    "checkpoint_timeout": "1h",
    "max_connections": "200",
    "shared_buffers": "32MB",
    "log_min_messages": "panic",
    "log_min_error_statement": "panic",
}


class PostgresServer:
    """A running server, in which each test gets a database of its own."""

    def __init__(self, url: str) -> None:
        """Args:
        url: of any database whose user may create others.
        """
        self.url = url
        self._templates: dict[str, str] = {}
        self._made: list[str] = []
        self._empty: dict[str, list[str]] = {}

    def database(self, *, like: Callable[[str], None] | None = None) -> str:
        """Return the URL of a database of one's own; a copy of one that `like` has filled, which it does once."""
        if like is None:
            return self._address(self._create("template1"))
        key = _name(like)
        if self._empty.get(key):
            return self._empty[key].pop()
        if key not in self._templates:
            self._templates[key] = self._create("template1")
            like(self._address(self._templates[key]))
        return self._address(self._create(self._templates[key]))

    def give_back(self, url: str, *, like: Callable[[str], None]) -> None:
        """Cut whoever is still connected and empty the tables, for the next one who asks.

        A new database is three hundred files, which a slow disk makes and removes in half a second each.
        """
        self.disconnect_all(url)
        with psycopg.connect(_plain(url), autocommit=True) as connection:
            tables = connection.execute(_FILLED).fetchall()
            names = [sql.Identifier(name) for (name,) in tables]
            connection.execute(sql.SQL("TRUNCATE {} RESTART IDENTITY CASCADE").format(sql.SQL(", ").join(names)))
        self._empty.setdefault(_name(like), []).append(url)

    def drop(self, url: str) -> None:
        """Remove a database, whoever is still connected."""
        name = make_url(url).database or ""
        self._execute(sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(sql.Identifier(name)))
        self._made.remove(name)

    def disconnect_all(self, url: str) -> int:
        """Cut every connection to a database, as a restart of the server would; return how many there were."""
        name = make_url(url).database or ""
        with psycopg.connect(_plain(self.url), autocommit=True) as connection:
            cut = connection.execute(
                "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity WHERE datname = %s", (name,)
            )
            return len(cut.fetchall())

    @contextmanager
    def silent(self, backend: int) -> Iterator[None]:
        """Let one connection's process say nothing for the block, as a machine that is cut off does.

        Raises:
            RuntimeError: the server is not ours alone.
        """
        self._check_ours()
        with psycopg.connect(_plain(self.url), autocommit=True) as connection:
            connection.execute(_signal("STOP", backend))
            try:
                yield
            finally:
                connection.execute(_signal("CONT", backend))

    @contextmanager
    def crashing(self) -> Iterator[None]:
        """Crash at the block's end and recover: of what was committed in it, only what a commit waited for is left.

        Raises:
            RuntimeError: the server is not ours alone.
        """
        self._check_ours()
        with psycopg.connect(_plain(self.url), autocommit=True) as connection:
            (writer,) = connection.execute(_WAL_WRITER).fetchone() or (None,)
            connection.execute(_signal("STOP", writer))
            try:
                yield
            finally:
                with suppress(psycopg.OperationalError):  # a server that loses one of its processes ends them all
                    connection.execute(_signal("KILL", writer))
                    connection.execute("SELECT pg_sleep(60)")
        _ready(self.url, None)

    def drop_all(self) -> None:
        """Remove every database made here; a server that was named by its user is left as it was found."""
        for name in tuple(self._made):
            self.drop(self._address(name))

    def _create(self, template: str) -> str:
        name = f"trm_test_{uuid4().hex}"
        self._execute(sql.SQL("CREATE DATABASE {} TEMPLATE {}").format(sql.Identifier(name), sql.Identifier(template)))
        self._made.append(name)
        return name

    def _check_ours(self) -> None:
        if self.url == os.environ.get(URL_VARIABLE):
            raise RuntimeError(f"the server that {URL_VARIABLE} names is others' too: it is left in peace")

    def _execute(self, statement: sql.Composed) -> None:
        with psycopg.connect(_plain(self.url), autocommit=True) as connection:
            connection.execute(statement)

    def _address(self, name: str) -> str:
        return make_url(self.url).set(database=name).render_as_string(hide_password=False)


@contextmanager
def postgres(say: Callable[[str], None] = print) -> Iterator[str]:
    """Give the URL of a new, empty database."""
    with postgres_server(say) as server:
        yield server.database()


@contextmanager
def postgres_server(say: Callable[[str], None] = print, *, ours: bool = False) -> Iterator[PostgresServer]:
    """Give a server, by the first way of the module's list that this machine offers; `say` gets one line about it.

    Args:
        say: is told which.
        ours: never the one that is named, for what is done to it would harm others.

    Raises:
        RuntimeError: it offers none; the message says what would help.
    """
    named = None if ours else os.environ.get(URL_VARIABLE)
    with _found(say, named) as url:
        server = PostgresServer(url)
        try:
            yield server
        finally:
            if named:  # what we started ends with all its databases
                server.drop_all()


def waits_for_lock(url: str, done: Callable[[], bool]) -> bool:
    """Return when something of this database waits for a lock, or when what may have waited is done: False."""
    with psycopg.connect(_plain(url), autocommit=True) as looking:
        while not done():
            if looking.execute(_BLOCKED).fetchone() != (0,):
                return True
    return False


@contextmanager
def _found(say: Callable[[str], None], named: str | None) -> Iterator[str]:
    if named:
        say(f"PostgreSQL: using the server that {URL_VARIABLE} names")
        yield named
        return
    binaries = postgres_program(say)
    if binaries is not None:
        with _private(binaries) as url:
            say(f"PostgreSQL: started a private server from {binaries}")
            yield url
    elif container_runs():
        with _container() as url:
            say(f"PostgreSQL: started a container of {_IMAGE}")
            yield url
    else:
        raise RuntimeError(f"no PostgreSQL: set {URL_VARIABLE}, or install PostgreSQL or Docker")


def postgres_program(say: Callable[[str], None] = print) -> Path | None:
    """Return the folder of the newest installed server, after installing one when that is possible."""
    binaries = _binaries()
    if binaries is None and may_install():
        _install(say)
        binaries = _binaries()
    return binaries


def _binaries() -> Path | None:
    """Return the folder of the newest installed server."""
    candidates = sorted(_DEBIAN_HOME.glob("*/bin"), key=lambda path: float(path.parent.name), reverse=True)
    on_path = shutil.which("initdb")
    if on_path is not None:
        candidates.insert(0, Path(on_path).resolve().parent)
    return next((path for path in candidates if (path / "initdb").exists() and (path / "postgres").exists()), None)


def _install(say: Callable[[str], None]) -> None:
    """Install Debian's server without the cluster that its package would create and start."""
    say("PostgreSQL: installing the Debian package postgresql (without its own cluster)")
    if install_packages("postgresql-common", log=say):
        _DEBIAN_CLUSTERS.mkdir(parents=True, exist_ok=True)
        refusal = _DEBIAN_CLUSTERS / "trm-tests.conf"
        refusal.write_text("create_main_cluster = false\n")
        try:
            install_packages("postgresql", log=say)
        finally:
            refusal.unlink()


@contextmanager
def _private(binaries: Path) -> Iterator[str]:
    """Run a server in a directory of its own, as another user where we are root: PostgreSQL refuses root."""
    home = Path(tempfile.mkdtemp(prefix="trm-pg-"))  # short: a socket's path has at most 107 bytes
    user, group = _account()
    environment = {"PATH": os.environ.get("PATH", ""), "LC_ALL": "C", "HOME": str(home), "PGDATA": str(home / "data")}
    try:
        if user is not None and group is not None:
            os.chown(home, user, group)
        subprocess.run(
            [binaries / "initdb", "--username", "trm", "--auth", "trust",
             "--encoding", "UTF8", "--locale", "C", "--no-sync"],
            check=True, env=environment, cwd=home, user=user, group=group, extra_groups=None if user is None else [],
            stdout=subprocess.DEVNULL,
        )  # fmt: skip
        settings = [f"-c{name}={value}" for name, value in (_SETTINGS | {"unix_socket_directories": str(home)}).items()]
        server = subprocess.Popen(
            ["/bin/sh", "-c", _WATCHED, "sh", binaries / "postgres", *settings],
            env=environment, cwd=home, user=user, group=group, extra_groups=None if user is None else [],
            stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True,
        )  # fmt: skip
        try:
            yield _ready(f"postgresql://trm@/postgres?host={home}", server)
        finally:
            _end(server)
    finally:
        shutil.rmtree(home, ignore_errors=True)


def _account() -> tuple[int | None, int | None]:
    """Return whom to run the server as; nobody else where we are not root."""
    if os.geteuid() != 0:
        return None, None
    for name in ("postgres", "nobody"):
        with suppress(KeyError):
            entry = pwd.getpwnam(name)
            return entry.pw_uid, entry.pw_gid
    raise RuntimeError("no PostgreSQL: it refuses root, and there is neither a user postgres nor nobody")


@contextmanager
def _container() -> Iterator[str]:
    name, password = f"trm-pg-{uuid4().hex[:12]}", uuid4().hex
    subprocess.run(
        ["docker", "run", "--detach", "--rm", "--name", name, "--env", f"POSTGRES_PASSWORD={password}",
         "--publish", "127.0.0.1::5432", _IMAGE],
        check=True, stdout=subprocess.DEVNULL,
    )  # fmt: skip
    try:
        port = subprocess.run(["docker", "port", name, "5432/tcp"], check=True, capture_output=True, text=True).stdout
        yield _ready(f"postgresql://postgres:{password}@{port.split()[0]}/postgres", None)
    finally:
        subprocess.run(["docker", "rm", "--force", name], check=False, stdout=subprocess.DEVNULL)


def _ready(url: str, server: subprocess.Popen[bytes] | None) -> str:
    """Wait until the server answers.

    Raises:
        RuntimeError: it ended, or did not answer in time.
    """
    deadline = time.monotonic() + _READY_SECONDS
    while time.monotonic() < deadline:
        if server is not None and server.poll() is not None:
            raise RuntimeError("PostgreSQL ended while it was starting")
        with suppress(psycopg.OperationalError), psycopg.connect(_plain(url), connect_timeout=5):
            return url
        time.sleep(0.05)
    raise RuntimeError("PostgreSQL did not answer in time")


def _end(server: subprocess.Popen[bytes]) -> None:
    """Close the watching shell's input, which ends the server; by force when it does not."""
    if server.stdin is not None:
        server.stdin.close()
    try:
        server.wait(_STOP_SECONDS)
    except subprocess.TimeoutExpired:
        os.killpg(server.pid, signal.SIGKILL)  # its session is its own
        server.wait()


def _signal(name: str, pid: int) -> sql.Composed:
    return _SIGNAL.format(signal=sql.SQL(name), pid=sql.SQL(str(int(pid))))


def _name(like: Callable[[str], None]) -> str:
    return f"{like.__module__}.{like.__qualname__}"


def _plain(url: str) -> str:
    """Return the address as libpq reads it."""
    return make_url(url).set(drivername="postgresql").render_as_string(hide_password=False)
