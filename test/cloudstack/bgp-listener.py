"""bgp-listener.py: waits for a BGP speaker, and prints the number of its autonomous system and its identifier."""

import ipaddress
import socket

HEADER_BYTES = 19
OPEN = 1

server = socket.create_server(("", 179), family=socket.AF_INET)
peer, _ = server.accept()
head = peer.recv(HEADER_BYTES, socket.MSG_WAITALL)
length = int.from_bytes(head[16:18], "big")
body = peer.recv(length - HEADER_BYTES, socket.MSG_WAITALL)
if head[:16] != b"\xff" * 16 or head[18] != OPEN:
    raise SystemExit(f"no OPEN of BGP: {(head + body).hex()}")
print(int.from_bytes(body[1:3], "big"), ipaddress.IPv4Address(body[5:9]))
