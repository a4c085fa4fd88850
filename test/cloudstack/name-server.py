"""name-server.py NAME ADDRESS: says over UDP that NAME has ADDRESS, and that no other name exists."""

import ipaddress
import socketserver
import sys

NAME = sys.argv[1]
ADDRESS = ipaddress.IPv4Address(sys.argv[2]).packed
TYPE_A = 1
RESPONSE = 0x8180
NO_SUCH_NAME = 3


def answer_to(query: bytes) -> bytes:
    labels: list[str] = []
    at = 12
    while query[at]:
        labels.append(query[at + 1 : at + 1 + query[at]].decode())
        at += 1 + query[at]
    question = query[12 : at + 5]
    kind = int.from_bytes(query[at + 1 : at + 3], "big")
    is_known = ".".join(labels).lower() == NAME
    answers = [b"\xc0\x0c" + question[-4:] + (60).to_bytes(4, "big") + b"\x00\x04" + ADDRESS]
    if not is_known or kind != TYPE_A:
        answers = []
    flags = RESPONSE if is_known else RESPONSE | NO_SUCH_NAME
    counts = (flags, 1, len(answers), 0, 0)
    head = query[:2] + b"".join(count.to_bytes(2, "big") for count in counts)
    return head + question + b"".join(answers)


class Handler(socketserver.BaseRequestHandler):
    def handle(self) -> None:
        query, socket = self.request
        socket.sendto(answer_to(query), self.client_address)


socketserver.ThreadingUDPServer(("", 53), Handler).serve_forever()
