"""ike-probe.py FROM TO: begins an exchange of IKEv2 with port 500 of TO, and says whether it is answered."""

import os
import socket
import struct
import sys

LIMIT_SECONDS = 10
SA_INIT = 34
RESPONSE = 0x20


def payload(following: int, body: bytes) -> bytes:
    return struct.pack("!BBH", following, 0, 4 + len(body)) + body


def transform(is_last: bool, kind: int, identifier: int, attributes: bytes = b"") -> bytes:
    head = struct.pack("!BBHBBH", 0 if is_last else 3, 0, 8 + len(attributes), kind, 0, identifier)
    return head + attributes


# AES-128 in CBC, SHA-256 for all that is hashed, and the Diffie-Hellman group of 2048 bits.
transforms = (
    transform(False, 1, 12, struct.pack("!HH", 0x800E, 128))
    + transform(False, 2, 5)
    + transform(False, 3, 12)
    + transform(True, 4, 14)
)
proposal = struct.pack("!BBHBBBB", 0, 0, 8 + len(transforms), 1, 1, 0, 4) + transforms
key_exchange = struct.pack("!HH", 14, 0) + os.urandom(256)
body = payload(34, proposal) + payload(40, key_exchange) + payload(0, os.urandom(32))
spi = os.urandom(8)
header = spi + bytes(8) + struct.pack("!BBBBII", 33, 0x20, SA_INIT, 0x08, 0, 28 + len(body))

with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as peer:
    peer.settimeout(LIMIT_SECONDS)
    peer.bind((sys.argv[1], 500))
    peer.sendto(header + body, (sys.argv[2], 500))
    try:
        answer = peer.recv(4096)
    except TimeoutError:
        answer = b""
is_answer = answer[:8] == spi and answer[18:20] == bytes((SA_INIT, RESPONSE))
print("answered" if is_answer else "silent")
