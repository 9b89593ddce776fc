"""A charge point that is not ours: OCPP 1.6 as the PyPI package `ocpp` speaks it, driven line by line.

Each line of standard input is one order, `{"order": <number>, "do": <what>, ...}`; each line of standard output is either
the answer to an order, `{"order": <number>, "answer": ...}` or `{"order": <number>, "failed": <why>}`, or something that
happened: `{"event": "call", "action", "payload", "answer"}` for a request of the other side, `{"event": "closed", "code"}`.

    connect      url, id, password?, subprotocol? (default true)
    boot, heartbeat, authorize, status, start, meter, stop, data_transfer     the payload of the message, in snake_case
    long_stop    as stop, with readings of at least `bytes` bytes
    policy       action, status: how requests of this kind are answered from now on; null: not at all
    close

It ends with its input. Payloads in both directions are checked by the package against the official JSON schemas.
"""

import asyncio
import base64
import json
import sys
from datetime import datetime, timedelta, timezone

import websockets
from ocpp.routing import on
from ocpp.v16 import ChargePoint, call, call_result

# A long stop is one message of several hundred KB.
FRAME_BYTES_MAX = 4 * 1024 * 1024
ANSWER_WAIT_S = 30


def say(line):
    sys.stdout.write(json.dumps(line) + "\n")
    sys.stdout.flush()


def plain(message):
    """A message of the package as JSON, without what is absent."""
    return {name: value for name, value in vars(message).items() if value is not None}


class Charger(ChargePoint):
    def __init__(self, identity, connection, policy):
        super().__init__(identity, connection, response_timeout=ANSWER_WAIT_S)
        self.policy = policy

    async def answer(self, action, payload, respond):
        status = self.policy.get(action, "Accepted")
        say({"event": "call", "action": action, "payload": payload, "answer": status})
        if status is None:
            await asyncio.Event().wait()
        return respond(status)

    @on("RemoteStartTransaction")
    async def on_remote_start(self, **payload):
        return await self.answer(
            "RemoteStartTransaction", payload, lambda status: call_result.RemoteStartTransaction(status=status)
        )

    @on("RemoteStopTransaction")
    async def on_remote_stop(self, **payload):
        return await self.answer(
            "RemoteStopTransaction", payload, lambda status: call_result.RemoteStopTransaction(status=status)
        )

    @on("UnlockConnector")
    async def on_unlock(self, **payload):
        return await self.answer(
            "UnlockConnector",
            payload,
            lambda status: call_result.UnlockConnector(status="Unlocked" if status == "Accepted" else status),
        )

    @on("Reset")
    async def on_reset(self, **payload):
        return await self.answer("Reset", payload, lambda status: call_result.Reset(status=status))

    @on("ChangeAvailability")
    async def on_change_availability(self, **payload):
        return await self.answer(
            "ChangeAvailability", payload, lambda status: call_result.ChangeAvailability(status=status)
        )

    @on("ChangeConfiguration")
    async def on_change_configuration(self, **payload):
        return await self.answer(
            "ChangeConfiguration", payload, lambda status: call_result.ChangeConfiguration(status=status)
        )

    @on("GetConfiguration")
    async def on_get_configuration(self, **payload):
        known = [{"key": "HeartbeatInterval", "readonly": False, "value": "300"}]
        return await self.answer(
            "GetConfiguration",
            payload,
            lambda _: call_result.GetConfiguration(configuration_key=known, unknown_key=[]),
        )

    @on("TriggerMessage")
    async def on_trigger(self, **payload):
        return await self.answer("TriggerMessage", payload, lambda status: call_result.TriggerMessage(status=status))

    @on("ClearCache")
    async def on_clear_cache(self, **payload):
        return await self.answer("ClearCache", payload, lambda status: call_result.ClearCache(status=status))


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
    MESSAGES = {
        "boot": call.BootNotification,
        "heartbeat": call.Heartbeat,
        "authorize": call.Authorize,
        "status": call.StatusNotification,
        "start": call.StartTransaction,
        "meter": call.MeterValues,
        "stop": call.StopTransaction,
        "data_transfer": call.DataTransfer,
    }

    def __init__(self):
        self.policy = {}
        self.socket = None
        self.charger = None

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
        asyncio.create_task(self.listen(self.charger, self.socket))
        return {"subprotocol": self.socket.subprotocol}

    async def listen(self, charger, socket):
        try:
            await charger.start()
        except websockets.ConnectionClosed:
            say({"event": "closed", "code": socket.close_code})

    async def carry_out(self, do, given):
        if do == "connect":
            return await self.connect(**given)
        if do == "policy":
            self.policy[given["action"]] = given["status"]
            return {}
        if do == "close":
            await self.socket.close()
            return {}
        if do == "long_stop":
            given["transaction_data"] = readings(given.pop("bytes"))
            do = "stop"
        answer = await self.charger.call(self.MESSAGES[do](**given), suppress=False)
        return plain(answer)

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
