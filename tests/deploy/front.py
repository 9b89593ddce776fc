"""nginx as it stands in front of the cluster, before stand-ins of the roles: what goes where, and what is tried again.

Writes the configuration as the container's start does, has `nginx -t` check it, and runs it. The stand-ins listen on
addresses of 127.0.0.0/8, and a name server of this script says which: so a role has two processes, of which one may be
gone, or end before it answers.
"""

import base64
import collections
import contextlib
import http.client
import os
import re
import shutil
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

DOCKER = Path(__file__).resolve().parents[2] / "docker"
NGINX = shutil.which("nginx") or "/usr/sbin/nginx"
# Two processes of command-service, and one each of the others.
ADDRESSES = {
    "command-service": ["127.0.0.2", "127.0.0.3"],
    "realtime-api": ["127.0.0.4"],
    "ocpp-edge": ["127.0.0.5"],
}
WAIT_MAX_S = 10
# A charger whose socket stays open.
HELD = "/ocpp/HELD"


def free_port():
    """One that is free on every address that is used here."""
    for _ in range(100):
        with contextlib.ExitStack() as stack:
            first = stack.enter_context(socket.socket())
            first.bind(("127.0.0.1", 0))
            port = first.getsockname()[1]
            try:
                for address in sum(ADDRESSES.values(), []):
                    stack.enter_context(socket.socket()).bind((address, port))
            except OSError:
                continue
            return port
    sys.exit("no port is free")


def name_server():
    """Answers questions for the addresses of a role."""
    server = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    server.bind(("127.0.0.1", 0))

    def answer():
        while True:
            question, client = server.recvfrom(512)
            labels, at = [], 12
            while question[at]:
                labels.append(question[at + 1 : at + 1 + question[at]].decode())
                at += question[at] + 1
            end = at + 5
            found = ADDRESSES.get(".".join(labels), [])
            head = question[:2] + struct.pack(">HHHHH", 0x8180 if found else 0x8183, 1, len(found), 0, 0)
            records = b"".join(
                b"\xc0\x0c" + struct.pack(">HHIH", 1, 1, 1, 4) + socket.inet_aton(address) for address in found
            )
            server.sendto(head + question[12:end] + records, client)

    threading.Thread(target=answer, daemon=True).start()
    return server.getsockname()[1]


class StandIn:
    """A process of a role. Notes what it was asked; says who it is, or ends the connection without an answer."""

    def __init__(self, address, port):
        self.address, self.silent, self.asked = address, False, []
        self.listener = socket.socket()
        self.listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self.listener.bind((address, port))
        self.listener.listen(64)
        threading.Thread(target=self.serve, daemon=True).start()

    def serve(self):
        while True:
            try:
                connection, _ = self.listener.accept()
            except OSError:
                return
            with connection:
                self.one(connection)

    def one(self, connection):
        text = b""
        while b"\r\n\r\n" not in text:
            more = connection.recv(65536)
            if not more:
                return
            text += more
        head, _, body = text.partition(b"\r\n\r\n")
        first, *lines = head.decode().split("\r\n")
        headers = {name.lower(): value for name, value in (line.split(": ", 1) for line in lines)}
        while len(body) < int(headers.get("content-length", 0)):
            more = connection.recv(65536)
            if not more:
                return
            body += more
        self.asked.append((first.rsplit(" ", 1)[0], headers, body))
        if self.silent:
            return
        if "upgrade" in headers:
            connection.sendall(
                b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                b"Sec-WebSocket-Protocol: ocpp1.6\r\n\r\nfrom " + self.address.encode()
            )
            if first.split(" ")[1] == HELD:
                # Until the other side ends it, and says again what it hears.
                while more := connection.recv(4096):
                    connection.sendall(more)
            return
        said = self.address.encode()
        connection.sendall(b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: %d\r\n\r\n%s" % (len(said), said))

    def stop(self):
        with contextlib.suppress(OSError):
            self.listener.shutdown(socket.SHUT_RDWR)
        self.listener.close()


class Front:
    def __init__(self, directory, port):
        self.http = self.ocpp = free_port()
        while self.ocpp == self.http:
            self.ocpp = free_port()
        values = {name.replace("-", "_").upper(): f"{name}:{port}" for name in ADDRESSES}
        values["RESOLVER"] = f"127.0.0.1:{name_server()}"
        text = (DOCKER / "nginx/coulomb.conf.template").read_text()
        text = re.sub(r"\$\{COULOMB_(\w+)\}", lambda found: values[found[1]], text)
        assert "${" not in text, "a variable of the template is not given"
        text = text.replace("listen 8080;", f"listen 127.0.0.1:{self.http};")
        text = text.replace("listen 9000;", f"listen 127.0.0.1:{self.ocpp};")
        process = (DOCKER / "nginx/nginx.conf").read_text().replace("/tmp/", f"{directory}/")
        # What a container is given more of than this machine may allow.
        process = process.replace("524288", "1024").replace("65536", "256").replace("/dev/stdout", "off")
        process = process.replace("access_log off requests", "access_log off").replace("/dev/stderr", "stderr")
        (directory / "coulomb.conf").write_text(text)
        (directory / "nginx.conf").write_text(process)
        self.command = [NGINX, "-e", "stderr", "-p", str(directory), "-c", str(directory / "nginx.conf")]

    def check(self):
        subprocess.run([*self.command, "-t", "-q"], check=True)

    def start(self):
        # What it says of stand-ins that end is no news.
        self.process = subprocess.Popen([*self.command, "-g", "daemon off;"], stderr=subprocess.DEVNULL)
        until = time.monotonic() + WAIT_MAX_S
        while time.monotonic() < until:
            with contextlib.suppress(OSError):
                socket.create_connection(("127.0.0.1", self.http), 1).close()
                return
            time.sleep(0.02)
        sys.exit("nginx does not listen")

    def stop(self):
        self.process.terminate()
        self.process.wait(WAIT_MAX_S)

    def ask(self, method, path, headers=None, body=None):
        connection = http.client.HTTPConnection("127.0.0.1", self.http, timeout=WAIT_MAX_S)
        connection.request(method, path, body, headers or {})
        answer = connection.getresponse()
        return answer.status, answer.read().decode()

    def opened(self, port, path):
        key = base64.b64encode(os.urandom(16)).decode()
        connection = socket.create_connection(("127.0.0.1", port), WAIT_MAX_S)
        connection.sendall(
            f"GET {path} HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            f"Sec-WebSocket-Key: {key}\r\nSec-WebSocket-Version: 13\r\n"
            "Sec-WebSocket-Protocol: ocpp1.6\r\n\r\n".encode()
        )
        return connection

    def upgrade(self, port, path):
        with self.opened(port, path) as connection:
            text = b""
            while more := connection.recv(4096):
                text += more
        return text.decode()


def equal(is_so, wanted, what):
    if is_so != wanted:
        sys.exit(f"{what}: {is_so!r} instead of {wanted!r}")


def routes(front, roles):
    commands = ADDRESSES["command-service"]
    for method, path, wanted in [
        ("GET", "/api/chargers?state=x", ["127.0.0.4"]),
        ("GET", "/docs", ["127.0.0.4"]),
        ("POST", "/api/sessions/start", commands),
        ("POST", "/api/chargers", commands),
        ("DELETE", "/api/chargers", commands),
        ("POST", "/api/auth/login", commands),
        ("POST", "/api/auth/register", commands),
        ("GET", "/api/auth/login", commands),
    ]:
        status, said = front.ask(method, path, body="{}" if method == "POST" else None)
        equal((status, said in wanted), (200, True), f"{method} {path}")
    equal(roles["127.0.0.4"].asked[0][0], "GET /api/chargers?state=x", "the query")
    for path in ["/metrics", "/ready"]:
        equal(front.ask("GET", path)[0], 404, path)
    equal(front.ask("GET", "/health"), (200, '{"status":"ok"}\n'), "/health")
    for port, path, address in [(front.http, "/ws", "127.0.0.4"), (front.ocpp, "/ocpp/CP001", "127.0.0.5")]:
        text = front.upgrade(port, path)
        equal((text[:12], text.endswith(f"from {address}")), ("HTTP/1.1 101", True), f"a socket to {path}: {text}")
        equal(roles[address].asked[-1][1]["sec-websocket-protocol"], "ocpp1.6", "the subprotocol")


def asked_since(roles, path):
    return [asked for role in roles.values() for asked in role.asked if asked[0] == path]


def keys(front, roles):
    front.ask("POST", "/api/plans", {"Idempotency-Key": "mine"}, "{}")
    equal(asked_since(roles, "POST /api/plans")[0][1]["idempotency-key"], "mine", "the key of a client")
    front.ask("POST", "/api/sites", body="{}")
    front.ask("POST", "/api/sites", body="{}")
    made = [headers["idempotency-key"] for _, headers, _ in asked_since(roles, "POST /api/sites")]
    equal((len(set(made)), all(made)), (2, True), "each request without a key has one of its own")


def restarts(front, roles):
    """One of two ends before it answers: the other is asked the same, with the same key."""
    ending, staying = (roles[address] for address in ADDRESSES["command-service"])
    ending.silent = True
    body = '{"session_id":"' + "x" * 20_000 + '"}'
    for _ in range(20):
        equal(front.ask("POST", "/api/sessions/stop", body=body), (200, staying.address), "a command of which one ended")
    tries = collections.defaultdict(list)
    for _, headers, sent in asked_since(roles, "POST /api/sessions/stop"):
        tries[headers["idempotency-key"]].append(sent.decode())
    equal(len(tries), 20, "keys")
    equal(any(len(sent) == 2 for sent in tries.values()), True, "some were tried twice")
    equal({text for sent in tries.values() for text in sent}, {body}, "each try is whole")
    equal({front.ask("POST", "/api/auth/refresh", body="{}")[0] for _ in range(8)}, {200}, "refreshing")

    # Somebody is not registered twice: where it may have been done, there is no second try.
    before = len(asked_since(roles, "POST /api/auth/register"))
    answers = [front.ask("POST", "/api/auth/register", body="{}")[0] for _ in range(20)]
    equal(set(answers), {200, 502}, "registering while one of two ends")
    equal(len(asked_since(roles, "POST /api/auth/register")) - before, 20, "tries of registering")

    # Gone altogether: whoever refuses the connection has not seen the request.
    ending.stop()
    for path in ["/api/sessions/stop", "/api/auth/register", "/api/auth/login"]:
        answers = [front.ask("POST", path, body="{}") for _ in range(20)]
        equal(set(answers), {(200, staying.address)}, f"{path} while one of two is gone")


def end(front):
    """SIGQUIT: nobody new is let in, a socket goes on, and nginx ends by itself with the last one."""
    with front.opened(front.ocpp, HELD) as connection:
        text = b""
        while not text.endswith(b"127.0.0.5"):
            more = connection.recv(4096)
            if not more:
                sys.exit(f"a charger's socket through nginx was closed: {text!r}")
            text += more
        front.process.send_signal(signal.SIGQUIT)
        until = time.monotonic() + WAIT_MAX_S
        refused = False
        while not refused and time.monotonic() < until:
            try:
                socket.create_connection(("127.0.0.1", front.ocpp), 1).close()
                time.sleep(0.02)
            except ConnectionRefusedError:
                refused = True
        equal(refused, True, "a nginx that ends refuses connections")
        for said in (b"one", b"two"):
            connection.sendall(said)
            equal(connection.recv(16), said, "a socket while nginx ends")
            time.sleep(0.5)
        equal(front.process.poll(), None, "nginx waits for its sockets")
    try:
        front.process.wait(WAIT_MAX_S)
    except subprocess.TimeoutExpired:
        sys.exit("nginx does not end with its last socket")


def main():
    port = free_port()
    roles = {address: StandIn(address, port) for addresses in ADDRESSES.values() for address in addresses}
    with tempfile.TemporaryDirectory() as directory:
        # nginx's workers are of another user when it is started as root.
        os.chmod(directory, 0o755)
        front = Front(Path(directory), port)
        front.check()
        front.start()
        try:
            routes(front, roles)
            keys(front, roles)
            restarts(front, roles)
            end(front)
        finally:
            front.stop()
    print("nginx: routes, keys, tries and its end are as they should be")


if __name__ == "__main__":
    main()
