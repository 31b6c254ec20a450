"""Finder of WebSocket frames in one direction of a connection, for cuts inside a frame."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

__all__ = ["FrameScanner", "Payload"]

MAX_HEAD_BYTES: Final = 1 << 16
"""Longest HTTP head; the stream is taken for something else after that many bytes."""

_LENGTH_BYTES: Final = {126: 2, 127: 8}


@dataclass(frozen=True, slots=True)
class Payload:
    """Payload of a frame: `start` is its place in the bytes that were scanned last."""

    start: int
    size: int
    is_data: bool
    """Whether the frame is text, binary or a continuation, and not a control frame."""


class FrameScanner:
    """Follows a stream from its HTTP head on, in pieces of any size.

    If the head is an answer other than 101, the rest is no frames, and none is found.
    """

    def __init__(self) -> None:
        self._header = bytearray()
        self._is_in_head = True
        self._is_blind = False
        self._payload_left = 0

    def scan(self, data: bytes) -> list[Payload]:
        """Return the payloads of the frames whose header ends in `data`, which follows the last."""
        found: list[Payload] = []
        place = 0
        while place < len(data) and not self._is_blind:
            if self._payload_left:
                step = min(self._payload_left, len(data) - place)
                self._payload_left -= step
                place += step
                continue
            self._header.append(data[place])
            place += 1
            if self._is_in_head:
                self._end_head()
            elif len(self._header) == _header_size(self._header):
                found.append(self._end_header(place))
        return found

    def _end_head(self) -> None:
        head = self._header
        if head.endswith(b"\r\n\r\n"):
            first_line = bytes(head.partition(b"\r\n")[0])
            self._is_blind = first_line.startswith(b"HTTP/") and b" 101" not in first_line
            self._is_in_head = False
            head.clear()
        elif len(head) == MAX_HEAD_BYTES:
            self._is_blind = True
            head.clear()

    def _end_header(self, place: int) -> Payload:
        header = self._header
        size = header[1] & 0x7F
        if size in _LENGTH_BYTES:
            size = int.from_bytes(header[2 : 2 + _LENGTH_BYTES[size]])
        is_data = header[0] & 0x0F < 8
        header.clear()
        self._payload_left = size
        return Payload(place, size, is_data)


def _header_size(header: bytearray) -> int:
    """Return the size of the header that begins with these bytes; 2 until it is known."""
    if len(header) < 2:
        return 2
    mask_bytes = 4 if header[1] & 0x80 else 0
    return 2 + _LENGTH_BYTES.get(header[1] & 0x7F, 0) + mask_bytes
