"""nginx as it stands in front of the cluster, before the program itself: one process after another is killed, or ended by
SIGTERM and started again as a new version is, while commands and queries run.

    DATABASE_URL=... COULOMB_MASTER_KEY=... restarts.py <program> killed|exchanged

The database has all migrations. Says at the end, as JSON, what was answered how often, how long the slowest answer took, and
how many processes were restarted.
"""

import collections
import contextlib
import http.client
import json
import os
import subprocess
import sys
import tempfile
import threading
import time
import urllib.error
import urllib.request
from pathlib import Path

import front

OPERATOR = {"email": "restarts@example.org", "password": "not a secret of anybody"}
ROUNDS = {"killed": 3, "exchanged": 2}
COMMANDERS, READERS = 4, 2
READY_WAIT_MAX_S = 60
# For a process to end after SIGTERM, of which it needs two seconds for its notice and its sockets.
END_WAIT_MAX_S = 40
# Each process that was restarted is back, and has had time to be asked, before the next one is.
BETWEEN_RESTARTS_S = 0.5
# Within which whoever asks has an answer, whatever happens to the processes.
ANSWER_MAX_S = 10

front.ADDRESSES["realtime-api"] = ["127.0.0.4", "127.0.0.6"]


class Process:
    def __init__(self, program, role, address, port, log):
        # It ends with this script, however that ends.
        self.command, self.log = ["setpriv", "--pdeathsig", "KILL", program, role], log
        self.ready = f"http://{address}:{port}/ready"
        self.environment = {
            "PATH": os.environ["PATH"],
            "DATABASE_URL": os.environ["DATABASE_URL"],
            "COULOMB_MASTER_KEY": os.environ["COULOMB_MASTER_KEY"],
            "COULOMB_DATABASE_CONNECTIONS": "6",
            "COULOMB_HTTP_LISTEN": f"{address}:{port}",
            "COULOMB_DATA_DIR": str(log.parent),
            "COULOMB_DRAIN_S": "1",
            "RUST_LOG": "warn",
        }
        if role == "command-service":
            self.environment |= {
                "COULOMB_OPERATOR_EMAIL": OPERATOR["email"],
                "COULOMB_OPERATOR_PASSWORD": OPERATOR["password"],
                "COULOMB_RATE_OPERATOR": "100000,1000000",
                "COULOMB_RATE_ADDRESS": "100000,1000000",
            }

    def start(self):
        with self.log.open("a") as log:
            self.running = subprocess.Popen(self.command, env=self.environment, stdout=log, stderr=log)
        until = time.monotonic() + READY_WAIT_MAX_S
        while time.monotonic() < until and self.running.poll() is None:
            with contextlib.suppress(OSError, urllib.error.URLError, http.client.HTTPException):
                with urllib.request.urlopen(self.ready, timeout=5):
                    return
            time.sleep(0.05)
        sys.exit(f"{self.command} is not ready; it said:\n{self.log.read_text()[-2000:]}")

    def kill(self):
        self.running.kill()
        self.running.wait()

    def end(self):
        """As Compose and Kubernetes do."""
        self.running.terminate()
        try:
            status = self.running.wait(END_WAIT_MAX_S)
        except subprocess.TimeoutExpired:
            status = f"nothing within {END_WAIT_MAX_S} s"
        if status != 0:
            sys.exit(f"{self.command} ended with {status}; it said:\n{self.log.read_text()[-2000:]}")


class Load:
    """Chargers are registered, each once, and read, until it is told to stop."""

    def __init__(self, before, token):
        self.front, self.token = before, {"authorization": f"Bearer {token}"}
        self.answers, self.problems, self.stopping = collections.Counter(), [], False
        self.slowest_s = 0.0
        self.threads = [threading.Thread(target=self.command, args=(number,)) for number in range(COMMANDERS)]
        self.threads += [threading.Thread(target=self.read) for _ in range(READERS)]
        for thread in self.threads:
            thread.start()

    def ask(self, method, path, wanted, **request):
        since = time.monotonic()
        try:
            status, said = self.front.ask(method, path, **request)
        except (OSError, http.client.HTTPException) as error:
            status, said = 0, repr(error)
        took_s = time.monotonic() - since
        self.answers[f"{method} {status}"] += 1
        self.slowest_s = max(self.slowest_s, took_s)
        if took_s > ANSWER_MAX_S:
            self.problems.append(f"{method} {path}: {status} after {took_s:.1f} s")
        if status != wanted:
            self.problems.append(f"{method} {path}: {status} {said[:300]}")

    def command(self, number):
        made = 0
        while not self.stopping:
            made += 1
            body = json.dumps({"charger_id": f"RESTART-{number}-{made}"})
            headers = self.token | {"content-type": "application/json"}
            self.ask("POST", "/api/chargers", 202, headers=headers, body=body)

    def read(self):
        while not self.stopping:
            self.ask("GET", "/api/chargers", 200, headers=self.token)

    def stop(self):
        self.stopping = True
        for thread in self.threads:
            thread.join()


def main():
    program, how = sys.argv[1:]
    port, restarted = front.free_port(), 0
    with tempfile.TemporaryDirectory() as name, contextlib.ExitStack() as stack:
        directory = Path(name)
        # nginx's workers are of another user when it is started as root.
        directory.chmod(0o755)

        def started(role, address):
            process = Process(program, role, address, port, directory / f"{role}-{address}.log")
            process.start()
            stack.callback(process.kill)
            return process

        commands = [started("command-service", address) for address in front.ADDRESSES["command-service"]]
        queries = [started("realtime-api", address) for address in front.ADDRESSES["realtime-api"]]
        started("projection-service", "127.0.0.7")
        before = front.Front(directory, port)
        before.check()
        before.start()
        stack.callback(before.stop)
        headers = {"content-type": "application/json"}
        status, said = before.ask("POST", "/api/auth/login", headers, json.dumps(OPERATOR))
        front.equal(status, 200, f"the login: {said}")
        load = Load(before, json.loads(said)["access_token"])
        try:
            for _ in range(ROUNDS[how]):
                for pair in zip(commands, queries):
                    for process in pair:
                        time.sleep(BETWEEN_RESTARTS_S)
                        process.kill() if how == "killed" else process.end()
                        process.start()
                        restarted += 1
        finally:
            load.stop()
    said = {"restarted": restarted, "answers": load.answers, "slowest_s": round(load.slowest_s, 3)}
    print(json.dumps(said | {"problems": load.problems[:10]}))


main()
