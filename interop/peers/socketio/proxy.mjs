// A proxy that WebSocket does not pass, of one of these kinds:
//
//   refuse   answers the handshake with 502
//   strip    passes it on without its Upgrade, as proxies do that do not know it
//   swallow  lets the handshake pass and then nothing
//   buffer   refuses, and passes on requests and answers when it has the whole of them, and a while later
import { createServer, request } from "node:http";
import { setTimeout as sleep } from "node:timers/promises";

export async function listen(kind, url) {
  const { hostname, port } = new URL(url);
  const forward = ({ method, url: path, headers: { upgrade, connection, ...headers } }, more) =>
    request({ hostname, port, method, path, headers: { ...headers, ...more } });

  const whole = async (message) => {
    const all = await message.toArray();
    await sleep(50);
    return Buffer.concat(all);
  };

  const server = createServer((client, answer) => {
    const ahead = forward(client);
    const give = () => answer.destroy();
    ahead.on("error", give);
    answer.on("close", () => ahead.destroy());
    ahead.on("response", async (from) => {
      from.on("error", give);
      if (kind !== "buffer") {
        answer.writeHead(from.statusCode, from.headers);
        return from.pipe(answer);
      }
      const body = await whole(from).catch(give);
      if (body) answer.writeHead(from.statusCode, from.headers).end(body);
    });
    if (kind !== "buffer") return client.pipe(ahead);
    whole(client).then((body) => ahead.end(body), give);
  });

  server.on("upgrade", (client, socket) => {
    socket.on("error", () => {});
    if (kind === "refuse" || kind === "buffer") return socket.end("HTTP/1.1 502 Bad Gateway\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
    const ahead = forward(client, kind === "swallow" && { connection: "upgrade", upgrade: "websocket" });
    ahead.on("error", () => socket.destroy());
    const answer = ({ statusCode, statusMessage, rawHeaders }) => {
      const lines = rawHeaders.map((text, i) => (i % 2 ? text + "\r\n" : text + ": "));
      socket.write(`HTTP/1.1 ${statusCode} ${statusMessage}\r\n${lines.join("")}\r\n`);
    };
    ahead.on("response", (from) => {
      answer(from);
      from.pipe(socket);
    });
    ahead.on("upgrade", (from, to) => {
      answer(from);
      to.on("error", () => {});
      for (const [one, other] of [[socket, to], [to, socket]]) one.on("close", () => other.destroy()).resume();
    });
    ahead.end();
  });

  await new Promise((resolve) => server.listen(0, "127.0.0.1", resolve));
  return { url: `http://127.0.0.1:${server.address().port}`, close: () => (server.close(), server.closeAllConnections()) };
}
