# SPDX-FileCopyrightText: The trm-broker authors
# SPDX-License-Identifier: Apache-2.0
"""A wrapper whose key never leaves an HSM: AES-256-GCM inside it, over PKCS#11.

The HSM holds this one AES key and nothing else: none that can be tested here knows ML-DSA or the hybrid KEM. A vault file
copied from the disk is worthless without the HSM; a running node still has the opened keys in its memory.
"""

from __future__ import annotations

import secrets
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from broker.core import canonical
from broker.core.errors import SettingsInvalid, VaultLocked
from broker.vault.wrapping import NONCE_BYTES, WRAPPED_BYTES, Stated, exact_bytes

if TYPE_CHECKING:
    from pkcs11 import Session

__all__ = ["HsmWrapper"]

_TAG_BITS = 128
_ID_BYTES = 16
_KEY_BITS = 256
_ONE_SESSION = threading.Lock()  # login is the whole process's, not a session's: two at once would log each other out


class HsmWrapper:
    """Wraps with an AES key of a token, found by its label and id."""

    NAME = "pkcs11"

    def __init__(self, library: Path, pin: bytes, *, token: str | None = None, label: str | None = None) -> None:
        """Args:
        library: the vendor's PKCS#11 library; code of it runs in this process.
        pin: the token user's.
        token: label of the token for a new wrapping; None: that of the file.
        label: label of the key; a new key is made where the token has none of it.
        """
        self._library = library
        self._pin = pin
        self._token = token
        self._label = label

    def wrap(self, content_key: bytes, *, like: Stated | None = None) -> Stated:
        """Return where the wrapping key is, the nonce and the wrapped key; makes the wrapping key if there is none.

        Raises:
            VaultLocked: the HSM is not to be had.
        """
        from pkcs11 import GCMParams, Mechanism

        token, label = (self._token, self._label) if like is None else (like["token"], like["key"])
        if token is None or label is None:
            raise RuntimeError("a new wrapping names its token and key")
        nonce = secrets.token_bytes(NONCE_BYTES)
        with self._session(token, writing=like is None) as session:
            key = _found(session, label, None if like is None else like["key_id"]) or _made(session, label)
            stated = {
                "name": self.NAME,
                "mechanism": "CKM_AES_GCM",
                "token": token,
                "key": label,
                "key_id": bytes(key.id).hex(),
                "nonce": canonical.b64url_encode(nonce),
            }
            parameters = GCMParams(nonce, canonical.dump(stated), _TAG_BITS)
            wrapped = key.encrypt(content_key, mechanism=Mechanism.AES_GCM, mechanism_param=parameters)
        return {**stated, "wrapped": canonical.b64url_encode(wrapped)}

    def unwrap(self, stated: Stated) -> bytes:
        """Return the content key.

        Raises:
            VaultLocked: the HSM, its PIN or its key is not the one, or the file was changed.
            ValueError, KeyError, TypeError: what is stated is not of its form.
        """
        from pkcs11 import GCMParams, Mechanism

        token, label, key_id = stated["token"], stated["key"], stated["key_id"]
        if (stated["name"], stated["mechanism"]) != (self.NAME, "CKM_AES_GCM"):
            raise ValueError("not a wrapping by an HSM that is known here")
        nonce, wrapped = exact_bytes(stated["nonce"], NONCE_BYTES), exact_bytes(stated["wrapped"], WRAPPED_BYTES)
        bound = canonical.dump({name: value for name, value in stated.items() if name != "wrapped"})
        with self._session(token, writing=False) as session:
            key = _found(session, label, key_id)
            if key is None:
                raise VaultLocked("The HSM does not hold the key that wraps this vault.")
            parameters = GCMParams(nonce, bound, _TAG_BITS)
            return bytes(key.decrypt(wrapped, mechanism=Mechanism.AES_GCM, mechanism_param=parameters))

    @contextmanager
    def _session(self, token: str, *, writing: bool) -> Iterator[Session]:
        import pkcs11
        from pkcs11.exceptions import PKCS11Error

        try:
            with _ONE_SESSION:
                found = pkcs11.lib(str(self._library)).get_token(token_label=token)
                with found.open(rw=writing, user_pin=self._pin.decode("utf-8")) as session:
                    yield session
        except UnicodeDecodeError:
            raise VaultLocked("The PIN is not UTF-8.") from None
        except PKCS11Error as error:
            raise VaultLocked(_sentence(error)) from None


def checked_library(library: Path | None) -> Path:
    """Return the library.

    Raises:
        SettingsInvalid: none is named, or this installation cannot load any.
    """
    if library is None:
        raise SettingsInvalid("The vault is wrapped by an HSM: set `hsm_library` to its PKCS#11 library.")
    try:
        import pkcs11  # noqa: F401  only whether it is there
    except ImportError:
        raise SettingsInvalid("Install trm-broker[hsm] to use an HSM.", where="hsm_library") from None
    return library


def _found(session: Session, label: str, key_id: str | None) -> Any:
    """Return the key, or None; by label alone only if one key has it."""
    from pkcs11 import Attribute, KeyType, ObjectClass

    wanted: dict[Any, Any] = {
        Attribute.CLASS: ObjectClass.SECRET_KEY,
        Attribute.KEY_TYPE: KeyType.AES,
        Attribute.LABEL: label,
    }
    if key_id is not None:
        wanted[Attribute.ID] = bytes.fromhex(key_id)
    keys = list(session.get_objects(wanted))
    if len(keys) > 1:
        raise VaultLocked("The HSM holds several keys of that label; choose another label.")
    return keys[0] if keys else None


def _made(session: Session, label: str) -> Any:  # what an AES key can do is mixed into its class at run time
    from pkcs11 import Attribute, KeyType, MechanismFlag

    return session.generate_key(
        KeyType.AES,
        _KEY_BITS,
        id=secrets.token_bytes(_ID_BYTES),
        label=label,
        store=True,
        capabilities=MechanismFlag.ENCRYPT | MechanismFlag.DECRYPT,
        template={Attribute.SENSITIVE: True, Attribute.EXTRACTABLE: False},
    )


def _sentence(error: Exception) -> str:
    """Return what is wrong by the class alone: a vendor's text may hold anything."""
    name = type(error).__name__
    sentences = {
        "PinIncorrect": "The HSM refuses the PIN; after a few more wrong ones it locks itself.",
        "PinLocked": "The HSM has locked its PIN; its security officer unlocks it.",
        "NoSuchToken": "No token of the label that the vault names is connected.",
    }
    return sentences.get(name, f"The HSM cannot be used, or it does not open this vault ({name}).")
