# SPDX-FileCopyrightText: The trm-broker authors
# SPDX-License-Identifier: Apache-2.0
"""Frames as a broker hands them out, around messages that somebody else wrote."""

from __future__ import annotations

import struct

import pytest
from pamqp import commands as spec
from pamqp import frame
from pamqp.header import ContentHeader

from broker.transport.rabbit_reading import read_whatever_comes

CONTENT_HEADER, METHOD = 2, 1  # kinds of frames


def _frame(kind: int, payload: bytes) -> bytes:
    return struct.pack(">BHI", kind, 1, len(payload)) + payload + b"\xce"


def _header(properties: bytes) -> ContentHeader:
    read_whatever_comes()
    read = frame.unmarshal(_frame(CONTENT_HEADER, struct.pack(">HHQ", 60, 0, 4711) + properties))[2]
    assert isinstance(read, ContentHeader)
    return read


def test_properties_that_can_be_read_are() -> None:
    """What a node writes reads the same as before."""
    written = spec.Basic.Properties(content_type="text/plain", message_id="one", user_id="EE", headers={"x": [1, "ö"]})
    read = _header(written.marshal())
    assert (read.body_size, read.properties) == (4711, written)


@pytest.mark.parametrize(
    "properties",
    [
        pytest.param(struct.pack(">HQ", 0x0040, 10**18), id="a time after the year 9999"),
        pytest.param(struct.pack(">HI", 0x2000, 99), id="a table longer than all there is"),
        pytest.param(struct.pack(">HI", 0x2000, 3) + b"\x01xZ", id="a value of no kind"),
        pytest.param(b"\x00", id="half of the flags"),
    ],
)
def test_properties_that_cannot_be_read_are_none(properties: bytes) -> None:
    """Whatever is wrong with them, the size of the message is known, and nothing is raised."""
    read = _header(properties)
    assert (read.body_size, read.properties) == (4711, spec.Basic.Properties())


def test_a_text_that_is_none_is_read_without_it() -> None:
    """Properties behind it, and the frame that announces a message, are read as ever."""
    read = _header(struct.pack(">H", 0x0080 | 0x0010) + b"\x02\xff\xfe" + b"\x02EE")
    assert (read.properties.message_id, read.properties.user_id) == ("��", "EE")
    announced = b"\x01c" + struct.pack(">QB", 7, 0) + b"\x03trm" + b"\x02\xff\xfe"
    deliver = frame.unmarshal(_frame(METHOD, struct.pack(">HH", 60, 60) + announced))[2]
    assert isinstance(deliver, spec.Basic.Deliver)
    assert (deliver.delivery_tag, deliver.exchange, deliver.routing_key) == (7, "trm", "��")


def test_a_frame_cut_short_is_still_an_error() -> None:
    """What is no frame of the protocol ends the connection as before."""
    read_whatever_comes()
    with pytest.raises(Exception, match="unmarshal"):
        frame.unmarshal(_frame(METHOD, struct.pack(">HH", 60, 60) + b"\x01c"))
