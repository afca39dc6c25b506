"""One end of a connection, made with websockets for Python. See README.md."""

import asyncio
import base64
import json
import ssl
import sys

from websockets import exceptions
from websockets.extensions import permessage_deflate
from websockets.legacy import client, server  # the one interface that all versions have

options = json.loads(sys.argv[1])
PING = b"are you there?"


def emit(event, **fields):
    print(json.dumps({"event": event, **fields}), flush=True)


def extensions():
    deflate = options.get("deflate")
    if deflate is None:
        return None
    dials = options["role"] == "client"
    own, peers = ("client", "server") if dials else ("server", "client")
    params = {}
    if not deflate.get("takeover"):
        params.update(client_no_context_takeover=True, server_no_context_takeover=True)
    if dials:
        params["client_max_window_bits"] = True
    if deflate.get("bits"):
        params[f"{own}_max_window_bits"] = deflate["bits"]
    if deflate.get("peerBits"):
        params[f"{peers}_max_window_bits"] = deflate["peerBits"]
    if dials:
        return [permessage_deflate.ClientPerMessageDeflateFactory(**params)]
    return [permessage_deflate.ServerPerMessageDeflateFactory(**params)]


def common():
    return {
        "subprotocols": options.get("subprotocols"),
        "extensions": extensions(),
        "compression": None,
        "max_size": None,
        "ping_interval": None,
    }


async def receive(ws):
    emit("open", subprotocol=ws.subprotocol or "", extensions=ws.response_headers.get("Sec-WebSocket-Extensions", ""))
    try:
        async for message in ws:
            kind = "text" if isinstance(message, str) else "binary"
            data = message.encode() if kind == "text" else message
            emit("message", kind=kind, data=base64.b64encode(data).decode())
    except exceptions.ConnectionClosedError:
        pass
    await ws.wait_closed()
    emit("close", code=ws.close_code, reason=ws.close_reason)


async def ping(ws):
    await (await ws.ping(PING))
    emit("pong")


async def send(ws, kind, parts):
    payload = [base64.b64decode(part) for part in parts]
    if kind == "text":
        payload = [part.decode() for part in payload]
    await ws.send(payload[0] if len(payload) == 1 else payload)


async def obey(connected):
    """Carries out the orders on the connection, which is there before the first of them."""
    stdin = asyncio.StreamReader(limit=1 << 26)
    await asyncio.get_running_loop().connect_read_pipe(lambda: asyncio.StreamReaderProtocol(stdin), sys.stdin)
    while line := await stdin.readline():
        order = json.loads(line)
        ws = await connected
        if order["order"] == "send":
            await send(ws, order["kind"], order["parts"])
        elif order["order"] == "ping":
            asyncio.ensure_future(ping(ws))
        elif order["order"] == "close":
            asyncio.ensure_future(ws.close(order["code"], order["reason"]))


async def connect(connected):
    tls = ssl.create_default_context(cafile=options["ca"]) if "ca" in options else None
    try:
        ws = await client.connect(options["url"], ssl=tls, **common())
    except exceptions.InvalidStatusCode as refused:
        emit("refused", status=refused.status_code)
        return
    connected.set_result(ws)
    await receive(ws)


async def listen(connected):
    tls = None
    if "cert" in options:
        tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        tls.load_cert_chain(options["cert"], options["key"])

    async def handle(ws):
        connected.set_result(ws)
        await receive(ws)

    listener = await server.serve(handle, "127.0.0.1", 0, ssl=tls, **common())
    port = listener.sockets[0].getsockname()[1]
    emit("listening", url=f"{'wss' if tls else 'ws'}://127.0.0.1:{port}/")


async def main():
    connected = asyncio.get_running_loop().create_future()
    end = connect if options["role"] == "client" else listen
    running = asyncio.ensure_future(end(connected))
    await obey(connected)
    running.cancel()


asyncio.run(main())
