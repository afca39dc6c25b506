"""Checks a server with socketio for Python. See README.md."""

import json
import os
import queue
import sys
import threading
import traceback

import engineio.payload
import socketio

engineio.payload.Payload.max_decode_packets = 10_000  # which are 16 otherwise; nobody else has such a bound

options = json.loads(sys.argv[1])
TRANSPORTS = options["transports"]
LARGE = 1 << 20  # bytes
PATIENCE = 10  # seconds
clients = []


def emit(event, **fields):
    print(json.dumps({"event": event, **fields}), flush=True)


def dial(namespace="/", auth=None, handlers=None, wait=True, **more):
    """Connects, and calls the handlers for the events of their names."""
    client = socketio.Client(**{"reconnection": False, **more})
    clients.append(client)
    for name, handler in (handlers or {}).items():
        client.on(name, handler, namespace=namespace)
    client.connect(
        options["url"], transports=TRANSPORTS, auth=auth, namespaces=[namespace], wait=wait, wait_timeout=PATIENCE
    )
    return client


def ask(client, name, *args, namespace="/"):
    """Returns the arguments of the acknowledgement: none, one, or a list of several."""
    return client.call(name, args, namespace=namespace, timeout=PATIENCE)


class Inbox(queue.Queue):
    """A handler that keeps what it is called with. The client calls each handler in a thread of its own: in any order."""

    def __call__(self, *args):
        self.put(list(args))

    def next(self):
        return self.get(timeout=PATIENCE)

    def expect(self, want):
        got = [self.next() for _ in want]
        equal(sorted(got, key=repr), sorted(want, key=repr))


def equal(got, want):
    if got != want:
        raise AssertionError(f"got {got!r:.200}, want {want!r:.200}")


VALUES = [
    [],
    ["hello"],
    ["메세지 바로 👋", "\u2028\x00\x1e\ufeff", '"\\', ""],
    [None, True, False, 0, -1.5, 1e21],
    [{}, [], {"a": {"b": [1, [2, [{"c": None}]]]}}],
]
BYTES = bytes([0, 1, 2, 3, 0x1E, 0x7F, 0x80, 0xFF])
BINARIES = [
    [BYTES],
    [BYTES, "text", "메세지".encode()],
    [{"deep": [{"image": BYTES, "name": "a.png"}, [BYTES]], "none": None}, 7],
    [b""],
]


def connects():
    client = dial()
    equal(client.transport(), TRANSPORTS[-1])
    me = ask(client, "whoami")
    equal(me["transport"], TRANSPORTS[-1])
    equal(me["id"], client.get_sid())
    equal(me["protocol"], 4)


def says_who_it_is():
    equal(ask(dial(auth={"token": "메세지", "n": [1, None]}), "whoami")["auth"], {"token": "메세지", "n": [1, None]})


def heartbeats():
    client = dial()
    client.sleep(1.2)  # the server's interval is half a second
    equal(ask(client, "ack", 1), 1)


def namespaces():
    client = dial("/dynamic-1")
    equal(ask(client, "whoami", namespace="/dynamic-1")["namespace"], "/dynamic-1")
    client = dial("/private", auth={"token": "secret"})
    equal(ask(client, "whoami", namespace="/private")["namespace"], "/private")


def refused(want, namespace, auth=None):
    why = Inbox()
    dial(namespace, auth, {"connect_error": why}, wait=False)
    equal(why.next(), [want])


def is_refused():
    refused({"message": "Invalid namespace"}, "/random")
    refused({"message": "not authorized", "data": {"code": "E_AUTH"}}, "/private", {"token": "guess"})


def events(rows):
    echo = Inbox()
    client = dial(handlers={"echo": echo})
    for args in rows:
        client.emit("echo", tuple(args))
        equal(echo.next(), args)


def acknowledged_by_server(rows):
    client = dial()
    for args in rows:
        got = ask(client, "ack", *args)
        equal(list(got) if isinstance(got, tuple) else [got], args or [None])


def acknowledged_by_client(rows):
    client = dial(handlers={"question": lambda *args: args[0] if args else None})
    for args in rows:
        if args and args[0] is not None:  # which would be no answer
            equal(list(ask(client, "ask", 5000, args[0])), ["answer", args[0]])


def waits_in_vain():
    client = dial()
    try:
        client.call("silent", (), timeout=0.05)
    except socketio.exceptions.TimeoutError:
        pass
    else:
        raise AssertionError("an answer to nothing")
    answered = threading.Event()
    client.on("question", lambda *_: answered.wait(PATIENCE))
    equal(ask(client, "ask", 50), "timeout")
    answered.set()


def rooms():
    inboxes = [Inbox() for _ in range(3)]
    all_ = [dial(handlers={"news": inbox}) for inbox in inboxes]
    ask(all_[0], "join", "one")
    ask(all_[1], "join", "one")
    ask(all_[2], "publish", {"to": ["one"]}, "news", [BYTES])
    ask(all_[0], "publish", {"others": True, "to": ["one"]}, "news", ["others"])
    ask(all_[2], "publish", {}, "news", ["everybody"])
    inboxes[0].expect([[BYTES], ["everybody"]])
    inboxes[1].expect([[BYTES], ["others"], ["everybody"]])
    inboxes[2].expect([["everybody"]])


def megabyte():
    client = dial()
    for value in ("바로" * (LARGE // 6), os.urandom(LARGE)):
        if ask(client, "ack", value) != value:
            raise AssertionError("it came back changed")


def ordered():
    count = 1000
    numbers = Inbox()
    client = dial(handlers={"number": numbers})
    client.emit("numbers", (0, count))
    for i in range(count):
        client.emit("count", i)
    equal(ask(client, "counted"), {"next": count, "wrong": 0})
    numbers.expect([[i] for i in range(count)])


def is_disconnected():
    gone = Inbox()
    client = dial(handlers={"disconnect": gone})
    client.emit("kick", True)
    gone.next()


def reconnects():
    connect, gone = Inbox(), Inbox()
    client = dial(
        handlers={"connect": connect, "disconnect": gone},
        reconnection=True,
        reconnection_delay=0.01,
        randomization_factor=0,
    )
    connect.next()
    first = client.get_sid()
    client.emit("hangup", ())
    gone.next()
    connect.next()
    if client.get_sid() == first:
        raise AssertionError("the same id again")
    equal(ask(client, "ack", 1), 1)


def check(name, run):
    message = ""
    try:
        run()
    except Exception:
        message = traceback.format_exc()
    for client in clients:
        client.reconnection = False
        client.disconnect()
    clients.clear()
    emit("check", name=name, message=message)


def main():
    check("connects", connects)
    check("says who it is", says_who_it_is)
    check("heartbeats", heartbeats)
    check("namespaces", namespaces)
    check("is refused", is_refused)
    for name, rows in (("text", VALUES), ("binary", BINARIES)):
        check(f"events, {name}", lambda rows=rows: events(rows))
        check(f"acknowledgements by the server, {name}", lambda rows=rows: acknowledged_by_server(rows))
        check(f"acknowledgements by the client, {name}", lambda rows=rows: acknowledged_by_client(rows))
    check("waits in vain for an acknowledgement", waits_in_vain)
    check("rooms", rooms)
    check("a megabyte each way", megabyte)
    check("1000 events each way", ordered)
    check("is disconnected by the server", is_disconnected)
    if TRANSPORTS != ["polling"]:  # told by a packet that the session is closed, it takes that for final
        check("reconnects", reconnects)
    emit("done")
    os._exit(0)  # whatever its threads are waiting for


threading.Thread(target=main, daemon=True).start()
sys.stdin.read()
os._exit(0)
