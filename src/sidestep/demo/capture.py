"""Listens on the wire between the nodes: a packet socket on the bridge that joins them. Linux and root only."""

from __future__ import annotations

import socket
import struct
import threading
import time
from pathlib import Path
from types import TracebackType
from typing import BinaryIO, Self

from sidestep.demo.frames import Evidence, Search, tcp_segment

_ALL_PROTOCOLS = 0x0003
_SOL_PACKET, _ADD_MEMBERSHIP, _STATISTICS, _PROMISCUOUS = 263, 1, 6, 1
_LONGEST_FRAME = 256 * 1024
_BUFFER = 16 * 1024 * 1024
_PCAP_HEADER = struct.pack("=IHHiIII", 0xA1B2C3D4, 2, 4, 0, 0, _LONGEST_FRAME, 1)


class Capture:
    """While it is open, all frames on `interface` are searched for `text`, and kept in `file` (pcap) if given."""

    def __init__(self, interface: str, text: bytes, file: Path | None = None) -> None:
        self._interface = interface
        self._search = Search(text)
        self._path = file
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._listen, name="capture")
        self._error: OSError | None = None
        self._dropped = 0

    def __enter__(self) -> Self:
        self._socket = _open(self._interface)
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stop.set()
        self._thread.join()
        statistics = self._socket.getsockopt(_SOL_PACKET, _STATISTICS, 8)
        self._dropped = int(struct.unpack("=II", statistics)[1])
        self._socket.close()

    def evidence(self) -> Evidence:
        """What was heard; raises what went wrong while listening."""
        if self._error is not None:
            raise self._error
        return self._search.evidence(dropped=self._dropped)

    def _listen(self) -> None:
        try:
            if self._path is None:
                self._receive(None)
            else:
                with self._path.open("wb") as file:
                    file.write(_PCAP_HEADER)
                    self._receive(file)
        except OSError as error:
            self._error = error

    def _receive(self, file: BinaryIO | None) -> None:
        while not self._stop.is_set():
            try:
                frame = self._socket.recv(_LONGEST_FRAME)
            except TimeoutError:
                continue
            if file is not None:
                file.write(_record(frame, time.time()))
            if (segment := tcp_segment(frame)) is not None:
                self._search.add(segment)


def _open(interface: str) -> socket.socket:
    listener = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(_ALL_PROTOCOLS))
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _BUFFER)
        listener.bind((interface, _ALL_PROTOCOLS))
        # A bridge shows its owner only frames for the host itself, unless somebody asks for all of them.
        request = struct.pack("=iHH8s", socket.if_nametoindex(interface), _PROMISCUOUS, 0, b"")
        listener.setsockopt(_SOL_PACKET, _ADD_MEMBERSHIP, request)
        listener.settimeout(0.1)
    except BaseException:
        listener.close()
        raise
    return listener


def _record(frame: bytes, moment: float) -> bytes:
    seconds = int(moment)
    return struct.pack("=IIII", seconds, int((moment - seconds) * 1e6), len(frame), len(frame)) + frame
