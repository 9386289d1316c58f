# SPDX-FileCopyrightText: The trm-broker authors
# SPDX-License-Identifier: Apache-2.0
"""Opening the vault as the settings say: the file says what wraps it, the settings where passphrase and library are."""

from __future__ import annotations

from broker.settings import Settings
from broker.vault.held import FileVault
from broker.vault.hsm import HsmWrapper, checked_library
from broker.vault.passphrase import read_source, source_of, stays
from broker.vault.wrapping import PassphraseWrapper, Stated, Wrapper

__all__ = ["Unlocking", "open_vault"]


class Unlocking:
    """A wrapper that is what the file says, with the passphrase or PIN from where the settings say."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._remembered: bytes | None = None

    def ask(self) -> None:
        """Get the passphrase now, where somebody may be at the keyboard.

        Raises:
            VaultLocked: its place gives none.
            SettingsInvalid: it is not a place.
        """
        self._passphrase()

    def wrap(self, content_key: bytes, *, like: Stated | None = None) -> Stated:
        """Return the content key wrapped as the file has it now; a new file's is wrapped under the passphrase.

        Raises:
            VaultLocked, SettingsInvalid: the passphrase or HSM is not to be had.
        """
        return self._named(PassphraseWrapper.NAME if like is None else like["name"]).wrap(content_key, like=like)

    def unwrap(self, stated: Stated) -> bytes:
        """Return the content key.

        Raises:
            VaultLocked, SettingsInvalid: the passphrase or HSM is not to be had, or not this vault's.
            ValueError, KeyError, TypeError: what is stated is not of its form.
        """
        return self._named(stated["name"]).unwrap(stated)

    def _named(self, name: str) -> Wrapper:
        if name == HsmWrapper.NAME:
            return HsmWrapper(checked_library(self._settings.hsm_library), self._passphrase())
        return PassphraseWrapper(self._passphrase())

    def _passphrase(self) -> bytes:
        """Return it anew where its place can be read again: a changed one counts without a restart."""
        source = source_of(self._settings)
        if self._remembered is None or stays(source):
            self._remembered = read_source(source, home=self._settings.home)
        return self._remembered


def open_vault(settings: Settings) -> FileVault:
    """Return the home's opened vault.

    Raises:
        HomeInvalid: there is no vault file, or it is not one.
        VaultLocked: it does not open.
        SettingsInvalid: the settings do not say what opening it needs.
    """
    return FileVault.open(settings.vault_file, Unlocking(settings))
