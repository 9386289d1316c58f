# SPDX-FileCopyrightText: The trm-broker authors
# SPDX-License-Identifier: Apache-2.0
"""A small federation on the disk, and the command run in this process."""

import asyncio
import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from broker.api.local_issuer import LocalIssuer
from broker.cli import main
from broker.core.ids import CountryCode
from broker.office import open_office
from broker.schema_files import read_schema_file
from broker.settings import TOKEN_KEY_FILE, Settings
from broker.system import SystemClock
from broker.testing.federation import Federation
from broker.transport.spool import create
from broker.vault import open_vault


@dataclass(frozen=True, slots=True, kw_only=True)
class Ran:
    """What a command left."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)


@pytest.fixture
def trm(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Callable[..., Ran]:
    """Run a command line."""
    for name in ("TRM_HOME", "TRM_DEBUG"):
        monkeypatch.delenv(name, raising=False)

    def run(*arguments: object) -> Ran:
        capsys.readouterr()
        code = main([str(argument) for argument in arguments])
        said = capsys.readouterr()
        return Ran(code=code, out=said.out, err=said.err)

    return run


@pytest.fixture(scope="session")
def founded(founded: Federation, tmp_path_factory: pytest.TempPathFactory) -> Federation:
    """The federation, whose nodes have been started once; no test touches it."""
    begun = founded.copied(tmp_path_factory.mktemp("begun"))
    create(begun.spool_folder, begun.homes)
    for country, folder in begun.homes.items():
        LocalIssuer.create(folder / TOKEN_KEY_FILE, us=country, clock=SystemClock())
        settings = Settings.load(folder)
        asyncio.run(open_office(settings, open_vault(settings)).close())
    return begun


@pytest.fixture
def home(federation: Federation) -> Path:
    """EE's home in it; no node runs."""
    return federation.homes[CountryCode("EE")]


@pytest.fixture
def unstarted(home: Path) -> Path:
    """EE's home before its node was started: whoever asks first fetches the trust list."""
    for file in home.glob("trm.db*"):
        file.unlink()
    return home


@pytest.fixture
def request_file(tmp_path: Path) -> Path:
    """The demonstration's request."""
    file = tmp_path / "request.json"
    file.write_bytes(read_schema_file("examples/demo/request.json"))
    return file


@pytest.fixture
def office(request_file: Path) -> str:
    """The office that sends the request."""
    return str(json.loads(request_file.read_bytes())["sender"]["authority"])
