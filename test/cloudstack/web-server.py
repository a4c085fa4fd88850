"""web-server.py NAME PORT...: answers every GET with its name and the address that asked, as `NAME saw ADDRESS`."""

import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


class Handler(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        address = self.client_address[0].removeprefix("::ffff:")
        body = f"{sys.argv[1]} saw {address}".encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        pass


class Server(ThreadingHTTPServer):
    address_family = 10  # AF_INET6, which takes IPv4 too


servers = [Server(("::", int(port)), Handler) for port in sys.argv[2:]]
threads = [threading.Thread(target=server.serve_forever) for server in servers]
for thread in threads:
    thread.start()
