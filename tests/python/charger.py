"""A charge point that is not ours: OCPP 1.6 as the PyPI package `ocpp` speaks it, driven line by line.

Each line of standard input is one order, `{"order": <number>, "do": <what>, ...}`; each line of standard output is either
the answer to an order, `{"order": <number>, "answer": ...}` or `{"order": <number>, "failed": <why>}`, or something that
happened: `{"event": "call", "action", "payload"}` for a request of the other side, `{"event": "closed", "code"}`.

    connect      url, id, password?, subprotocol? (default true)
    call         action, payload: any message of OCPP 1.6 from a charge point; the answer is the payload of its result
    long_stop    the payload of a StopTransaction, with readings of at least `bytes` bytes
    policy       action, answer: how requests of this kind are answered from now on. A payload, or the code of an error,
                 or null: not at all. Without a policy everything is accepted
    script       orders: one after another, each without a number; the answer is the list of theirs
    close

Payloads are in snake_case. It ends with its input. Payloads in both directions are checked by the package against the
official JSON schemas.
"""

import asyncio
import base64
import json
import logging
import sys
from datetime import datetime, timedelta, timezone

import websockets
from ocpp.exceptions import OCPPError
from ocpp.routing import on
from ocpp.v16 import ChargePoint, call, call_result

# A long stop is one message of several hundred KB.
FRAME_BYTES_MAX = 4 * 1024 * 1024
ANSWER_WAIT_S = 30


# It writes down each error that it was told to answer with.
logging.getLogger("ocpp").setLevel(logging.CRITICAL)


def say(line):
    sys.stdout.write(json.dumps(line) + "\n")
    sys.stdout.flush()


def plain(message):
    """A message of the package as JSON, without what is absent."""
    return {name: value for name, value in vars(message).items() if value is not None}


# How each request of the other side is answered, unless there is a policy.
ACCEPTED = {
    "RemoteStartTransaction": {"status": "Accepted"},
    "RemoteStopTransaction": {"status": "Accepted"},
    "UnlockConnector": {"status": "Unlocked"},
    "Reset": {"status": "Accepted"},
    "ChangeAvailability": {"status": "Accepted"},
    "ChangeConfiguration": {"status": "Accepted"},
    "GetConfiguration": {
        "configuration_key": [{"key": "HeartbeatInterval", "readonly": False, "value": "300"}],
        "unknown_key": [],
    },
    "TriggerMessage": {"status": "Accepted"},
    "ClearCache": {"status": "Accepted"},
}


class Charger(ChargePoint):
    def __init__(self, identity, connection, policy):
        super().__init__(identity, connection, response_timeout=ANSWER_WAIT_S)
        self.policy = policy

    async def respond(self, action, payload):
        say({"event": "call", "action": action, "payload": payload})
        answer = self.policy.get(action, ACCEPTED[action])
        if answer is None:
            await asyncio.Event().wait()
        if isinstance(answer, str):
            raise next(error for error in OCPPError.__subclasses__() if error.code == answer)()
        return getattr(call_result, action)(**answer)


def handler(action):
    async def handle(self, **payload):
        return await self.respond(action, payload)

    # The package finds handlers by their names.
    handle.__name__ = f"on_{action}"
    return on(action)(handle)


for known in ACCEPTED:
    setattr(Charger, f"on_{known}", handler(known))


def readings(bytes_min):
    """A session's meter, one reading a minute, until the text is long enough."""
    at = datetime(2026, 1, 1, tzinfo=timezone.utc)
    values, size = [], 0
    while size < bytes_min:
        value = {
            "timestamp": at.strftime("%Y-%m-%dT%H:%M:%SZ"),
            "sampledValue": [
                {
                    "value": str(len(values)),
                    "context": "Sample.Periodic",
                    "measurand": "Energy.Active.Import.Register",
                    "unit": "Wh",
                }
            ],
        }
        values.append(value)
        size += len(json.dumps(value, separators=(",", ":"))) + 1
        at += timedelta(minutes=1)
    return values


class Program:
    def __init__(self):
        self.policy = {}
        self.socket = None
        self.charger = None
        self.listening = None

    async def connect(self, url, id, password=None, subprotocol=True):
        headers = {}
        if password is not None:
            pair = base64.b64encode(f"{id}:{password}".encode()).decode()
            headers["Authorization"] = f"Basic {pair}"
        self.socket = await websockets.connect(
            f"{url}/{id}",
            subprotocols=["ocpp1.6"] if subprotocol else None,
            additional_headers=headers,
            max_size=FRAME_BYTES_MAX,
            ping_interval=None,
        )
        self.charger = Charger(id, self.socket, self.policy)
        self.listening = asyncio.create_task(self.listen(self.charger, self.socket))
        return {"subprotocol": self.socket.subprotocol}

    async def listen(self, charger, socket):
        # Not by the package's own loop, in which a request that is left unanswered would keep all others waiting.
        tasks = set()
        try:
            while True:
                task = asyncio.create_task(charger.route_message(await socket.recv()))
                tasks.add(task)
                task.add_done_callback(tasks.discard)
        except websockets.ConnectionClosed:
            say({"event": "closed", "code": socket.close_code})

    async def carry_out(self, do, given):
        match do:
            case "connect":
                return await self.connect(**given)
            case "call":
                return await self.call(given["action"], given["payload"])
            case "long_stop":
                data = readings(given.pop("bytes"))
                return await self.call("StopTransaction", {**given, "transaction_data": data})
            case "policy":
                self.policy[given["action"]] = given["answer"]
                return {}
            case "script":
                return [await self.carry_out(order.pop("do"), order) for order in given["orders"]]
            case "close":
                await self.socket.close()
                return {}
        raise ValueError(f"{do} is nothing that can be done")

    async def call(self, action, payload):
        return plain(await self.charger.call(getattr(call, action)(**payload), suppress=False))

    async def obey(self, line):
        number = line.pop("order")
        do = line.pop("do")
        try:
            say({"order": number, "answer": await self.carry_out(do, line)})
        except Exception as failed:  # Whatever it is, the test shall see it.
            say({"order": number, "failed": f"{type(failed).__name__}: {failed}"})


async def main():
    program = Program()
    reader = asyncio.StreamReader(limit=FRAME_BYTES_MAX)
    await asyncio.get_running_loop().connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
    tasks = set()
    while line := await reader.readline():
        # Orders overlap: one may wait for an answer while the next is carried out.
        task = asyncio.create_task(program.obey(json.loads(line)))
        tasks.add(task)
        task.add_done_callback(tasks.discard)


asyncio.run(main())
