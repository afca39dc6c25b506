// Checks that clients which are cut find their socket on whatever server of a cluster they come back to. See README.md.
import assert from "node:assert/strict";
import { once } from "node:events";
import { setTimeout as sleep } from "node:timers/promises";
import { createClient } from "redis";
import { io } from "socket.io-client";
import { check, later, main, options } from "../socketio/check.mjs";
import { Way } from "../socketio/way.mjs";
import { client, poll } from "./client.mjs";
import { start } from "./servers.mjs";

const urls = Object.fromEntries(Object.entries(options.servers));
const controls = {};
let redis;

// reader is a client that notes what it gets, and comes back quickly.
async function reader(at) {
  const way = await Way.to(urls[at]);
  const socket = io(way.url, {
    forceNew: true,
    transports: ["websocket"],
    reconnectionDelay: 10,
    reconnectionDelayMax: 50,
  });
  later(() => socket.disconnect());
  const got = [];
  socket.on("t", (value) => got.push(value));
  await once(socket, "connect");
  return { way, socket, got, id: socket.id };
}

async function cut({ way, socket }) {
  const gone = once(socket, "disconnect");
  way.cut();
  await gone;
  await poll(async () => (await redis.exists(`sio:session:${socket._pid}`)) === 1);
}

async function back({ way, socket, id }, to) {
  const connected = once(socket, "connect");
  way.mend(urls[to]);
  await connected;
  assert.equal(socket.recovered, true);
  assert.equal(socket.id, id);
}

const length = () => redis.xLen("socket.io");

// publish has a server emit something, and waits until that is in the stream.
async function publish(from, target, value) {
  const before = await length();
  await controls[from].do("emit", target, value);
  await poll(async () => (await length()) > before);
}

async function moves(from, to) {
  await check(`from ${from} to ${to} and back`, async () => {
    const r = await reader(from);
    const { id } = r;
    await controls.go1.do("join", { to: [id] }, "blue");
    await poll(async () => (await controls[from].do("fetch", { to: ["blue"] })).length === 1);
    await publish("go1", {}, { n: 0 });
    await poll(() => r.got.length === 1);
    let n = 1;
    for (const next of [to, from]) {
      await cut(r);
      for (const by of Object.keys(controls)) {
        await publish(by, { to: ["blue", "other"] }, { n: n++ });
        await publish(by, { to: ["red"] }, { n: "not in it" });
        await publish(by, { except: ["blue"] }, { n: "left out" });
      }
      await publish(from, { to: [id] }, { n: n++, key: Buffer.from([1, 2]) });
      await back(r, next);
      await publish(from, {}, { n: n++ });
      await publish(next, { to: ["blue"] }, { n: n++ });
      await poll(() => r.got.length >= n);
      assert.deepEqual(r.got.map((v) => v.n), [...Array(n).keys()]);
      const [socket] = await controls[next === "go1" ? "go2" : "go1"].do("fetch", { to: ["blue"] });
      assert.equal(socket.id, id);
      assert.deepEqual(socket.rooms.sort(), [id, from, "all", "blue"].sort());
      assert.equal(socket.data.server, from);
      assert.deepEqual(Buffer.from(socket.data.key), Buffer.from([1, 2, 3]));
    }
    assert.ok(r.got.some((v) => v.key && Buffer.from(v.key).equals(Buffer.from([1, 2]))));
  });
}

// Under load between two servers of ours: those of Node may lose or double what comes in the moment in which a client returns.
async function load(names) {
  await check(`between ${names.join(" and ")}, cut while all emit`, async () => {
    const r = await reader(names[0]);
    const each = options.short ? 100 : 500;
    let ended = false;
    const emitting = Object.keys(controls).map(async (by) => {
      for (let i = 0; i < each; i++) {
        await controls[by].do("emit", {}, { by, i });
        await sleep(1);
      }
    });
    const all = Promise.all(emitting).then(() => (ended = true));
    await poll(() => r.got.length > 10);
    let cuts = 0;
    for (; !ended; cuts++) {
      const gone = once(r.socket, "disconnect");
      const connected = once(r.socket, "connect");
      r.way.cut();
      await gone;
      r.way.mend(urls[names[(cuts + 1) % 2]]);
      await connected;
      assert.equal(r.socket.recovered, true, `after ${cuts} cuts`);
      assert.equal(r.socket.id, r.id);
      const before = r.got.length;
      await poll(() => ended || r.got.length > before + 20);
    }
    await all;
    await poll(() => r.got.length >= each * emitting.length);
    for (const by of Object.keys(controls)) {
      const numbers = r.got.filter((v) => v.by === by).map((v) => v.i);
      assert.deepEqual(numbers, [...Array(each).keys()], `of ${by}`);
    }
    assert.ok(cuts > 2, `${cuts} cuts`);
  });
}

await main(async () => {
  redis = createClient({ url: `redis://${options.cluster.redis[0]}` });
  await redis.connect();
  for (const name of ["node1"]) urls[name] = await start(name, options.cluster);
  await check("together", async () => {
    for (const [name, url] of Object.entries(urls)) controls[name] = await client(name, url);
    const names = Object.keys(controls);
    for (const name of names) {
      await poll(async () => (await controls[name].do("count")) === names.length);
      for (const other of names) {
        await poll(async () => {
          await controls[other].do("emit", { to: [name] }, { mark: `${other} to ${name}` });
          return controls[name].marks.has(`${other} to ${name}`);
        });
      }
    }
  });
  await moves("go1", "node1");
  await moves("node1", "go2");
  await moves("go1", "go2");
  await load(["go1", "go2"]);
});
