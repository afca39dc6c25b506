// Checks what becomes of a client whose connection is cut.
import assert from "node:assert/strict";
import { setTimeout as sleep } from "node:timers/promises";
import { check, options } from "./check.mjs";
import { ask, collect, connected, dial, event, ready, upgraded, url } from "./dial.mjs";
import { Way } from "./way.mjs";

// cut waits until the client has noticed, and returns the reason that it has for it.
async function cut(way, socket) {
  const gone = event(socket, "disconnect");
  await sleep(50); // for a client that polls to do so: nobody notices otherwise, before the next heartbeat
  way.cut();
  return (await gone)[0];
}

export async function reconnection() {
  await check("reconnects", async () => {
    const way = await Way.to(url);
    const socket = await ready({ way: way.url, reconnection: true });
    const { id } = socket;
    const reason = await cut(way, socket);
    assert.ok(["transport close", "transport error"].includes(reason), reason);
    for (let i = 0; i < 3; i++) socket.emit("count", i); // are kept
    const back = event(socket, "connect");
    way.mend();
    await back;
    assert.notEqual(socket.id, id);
    await upgraded(socket);
    assert.deepEqual(await ask(socket, "counted"), [{ next: 3, wrong: 0 }]);
    const other = await ready();
    const [seen] = await ask(other, "reason", id);
    assert.ok(["transport close", "transport error"].includes(seen), seen);
  });
}

const path = "/recovery/";

async function cutOff() {
  const way = await Way.to(url);
  const socket = dial({ way: way.url, path, reconnection: true });
  const other = dial({ path });
  for (const s of [socket, other]) await upgraded(await connected(s));
  const news = collect(socket, "news");
  const publish = (n) => ask(other, "publish", { to: ["readers"] }, "news", [n]);
  await ask(socket, "join", "readers");
  return { way, socket, other, news, publish };
}

export async function recovery() {
  await check("recovers what it has missed", async () => {
    const { way, socket, other, news, publish } = await cutOff();
    assert.equal(socket.recovered, false);
    await publish(0);
    await ask(socket, "ack");
    const { id } = socket;
    for (const round of [0, 10]) {
      await cut(way, socket);
      const [reason] = await ask(other, "reason", id); // the server has noticed
      assert.ok(["transport close", "transport error"].includes(reason), reason);
      for (let i = 1; i <= 5; i++) await publish(round + i);
      await ask(other, "publish", { to: ["writers"] }, "news", ["of no concern"]);
      const back = event(socket, "connect");
      way.mend();
      await back;
      assert.equal(socket.recovered, true);
      assert.equal(socket.id, id);
      await upgraded(socket);
      const [me] = await ask(socket, "whoami");
      assert.equal(me.id, id);
      assert.deepEqual(me.rooms.sort(), [id, "readers"].sort());
      await publish(round + 6);
      await ask(socket, "ack");
    }
    assert.deepEqual(news, [0, 1, 2, 3, 4, 5, 6, 11, 12, 13, 14, 15, 16]);
  });
  await check("does not recover what it has left", async () => {
    const { socket, news, publish } = await cutOff();
    await publish(0);
    await ask(socket, "ack");
    const { id } = socket;
    socket.disconnect();
    await publish(1);
    const connect = event(socket, "connect");
    socket.io.reconnection(false);
    socket.connect();
    await connect;
    if (options.lenient) return; // the official server gives back what was left on purpose, too
    assert.equal(socket.recovered, false);
    assert.notEqual(socket.id, id);
    await ask(socket, "ack");
    assert.deepEqual(news, [0]);
  });
}
