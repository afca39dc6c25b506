// Checks what servers of one cluster do for each other, with a client at each of them. See README.md.
import { Emitter } from "@socket.io/redis-emitter";
import assert from "node:assert/strict";
import { once } from "node:events";
import { check, later, main, options, within } from "../socketio/check.mjs";
import { client, poll } from "./client.mjs";
import { connect, start } from "./servers.mjs";

// The classic adapter sends in JSON what others send as it is: bytes in data of sockets and in events of servers are none any more.
const binary = options.cluster.kind !== "classic";

// until waits for what clients see.
async function until(clients, done) {
  for (;;) {
    if (done()) return;
    await new Promise((resolve) => clients.forEach((c) => (c.seen = resolve)));
  }
}

let marks = 0;

// reaches checks that something is sent to certain clients, and to nobody else.
async function reaches(clients, from, expected, ...args) {
  clients.forEach((c) => (c.log = []));
  await from.do(...args);
  const mark = `mark ${marks++}`;
  await from.do("emit", {}, { mark });
  await until(clients, () => clients.every((c) => c.marks.has(mark) && c.log.length >= expected.includes(c)));
  for (const c of clients) assert.equal(c.log.length, expected.includes(c) ? 1 : 0, `${c.name} got ${JSON.stringify(c.log)}`);
  return expected.map((c) => c.log[0]);
}

// soon is reaches for what is sent after something else by who only emits: in Redis Cluster the two may go by different servers, and come
// in any order.
async function soon(...args) {
  for (const begun = Date.now(); ; ) {
    try {
      return await within(2000, reaches(...args), "what was sent after something else");
    } catch (e) {
      if (Date.now() - begun > 20_000) throw e;
    }
  }
}

// mayReach is reaches for what is volatile: whom it is for may miss it, when a connection is busy, and gets it another time.
async function mayReach(clients, from, expected, target) {
  const missed = new Set(expected);
  while (missed.size > 0) {
    const mark = `mark ${marks++}`; // what came late of the time before is another
    await from.do("emit", { ...target, volatile: true }, `volatile ${mark}`);
    await from.do("emit", {}, { mark });
    await until(clients, () => clients.every((c) => c.marks.has(mark)));
    for (const c of clients) {
      if (!c.log.includes(`volatile ${mark}`)) continue;
      missed.delete(c);
      assert.ok(expected.includes(c), `${c.name} got ${JSON.stringify(c.log)}`);
    }
  }
}

async function methods(clients, from) {
  const others = clients.filter((c) => c !== from);
  const of = (what) => `${from.name}: ${what}`;
  const value = { n: 1.5, big: 1099511627776, text: "é€😀", list: [null, true, -1], empty: {} };

  await check(of("to all"), async () => {
    for (const got of await reaches(clients, from, clients, "emit", {}, value)) assert.deepEqual(got, value);
  });
  await check(of("binary"), async () => {
    const sent = { a: Buffer.from([0, 255]), b: [Buffer.from("x")] };
    for (const got of await reaches(clients, from, clients, "emit", {}, sent)) {
      assert.deepEqual(Buffer.from(got.a), sent.a);
      assert.deepEqual(Buffer.from(got.b[0]), sent.b[0]);
    }
    await reaches(clients, from, [others[0]], "emit", { to: [others[0].name] }, sent);
  });
  await check(of("to rooms"), async () => {
    await reaches(clients, from, clients, "emit", { to: ["all"] }, 1);
    for (const c of clients) await reaches(clients, from, [c], "emit", { to: [c.name] }, 1);
    await reaches(clients, from, clients, "emit", { to: ["all", ...clients.map((c) => c.name)] }, 1);
    await reaches(clients, from, [], "emit", { to: ["nobody"] }, 1);
    for (const c of clients) await reaches(clients, from, [c], "emit", { to: [c.id] }, 1);
  });
  await check(of("except"), async () => {
    await reaches(clients, from, [others[0], from], "emit", { except: [others[1].name, others[2].name] }, 1);
    await reaches(clients, from, [others[1]], "emit", { to: [others[0].name, others[1].name], except: [others[0].id] }, 1);
  });
  await check(of("volatile"), async () => {
    await mayReach(clients, from, clients, {});
    await mayReach(clients, from, [others[2]], { to: [others[2].name] });
  });
  await check(of("a room of 20 characters"), async () => {
    const room = "12345678901234567890";
    await from.do("join", { to: [others[0].name, others[2].name] }, room);
    await joined(from, others[0], room);
    await joined(from, others[2], room);
    await reaches(clients, from, [others[0], others[2]], "emit", { to: [room] }, 1);
    await from.do("leave", {}, room);
  });
  await check(of("acknowledged by all"), async () => {
    const answers = await from.do("ask", { timeout: 5000 }, value);
    assert.deepEqual(answers.map((a) => a.name).sort(), clients.map((c) => c.name).sort());
    for (const a of answers) {
      assert.deepEqual(a.question, value);
      assert.deepEqual(Buffer.from(a.key), Buffer.from([7]));
    }
    const [one] = await from.do("ask", { to: [others[1].name], timeout: 5000 }, Buffer.from("bin"));
    assert.equal(one.name, others[1].name);
    assert.deepEqual(Buffer.from(one.question), Buffer.from("bin"));
    assert.deepEqual(await from.do("ask", { to: ["nobody"], timeout: 5000 }, 1), []);
  });
  await check(of("fetchSockets"), async () => {
    const all = await from.do("fetch", {});
    assert.deepEqual(all.map((s) => s.id).sort(), clients.map((c) => c.id).sort());
    for (const c of clients) {
      const s = all.find((s) => s.id === c.id);
      assert.deepEqual(s.rooms.sort(), [c.id, c.name, "all"].sort());
      assert.equal(s.data.server, c.name);
      if (binary) assert.deepEqual(Buffer.from(s.data.key), Buffer.from([1, 2, 3]));
      assert.equal(s.query.EIO, "4");
      assert.match(s.address, /127\.0\.0\.1$/);
    }
    assert.deepEqual((await from.do("fetch", { to: [others[0].name] })).map((s) => s.id), [others[0].id]);
  });
  await check(of("a remote socket"), async () => {
    for (const c of others) await reaches(clients, from, [c], "tell", c.id, { just: "you" });
  });
  await check(of("joins and leaves of others"), async () => {
    await from.do("join", { to: ["all"], except: [others[0].name] }, "new", "newer");
    for (const c of [from, others[1], others[2]]) await joined(from, c, "newer");
    await reaches(clients, from, [from, others[1], others[2]], "emit", { to: ["new"] }, 1);
    await from.do("leave", { to: [others[1].name] }, "new");
    await poll(async () => !(await rooms(from, others[1])).includes("new"));
    await reaches(clients, from, [from, others[2]], "emit", { to: ["new"] }, 1);
    await from.do("leave", {}, "new", "newer");
    for (const c of clients) await poll(async () => (await rooms(from, c)).length === 3);
  });
  await check(of("serverSideEmit"), async () => {
    await from.do("hello", "world", { n: 1 });
    for (const c of others) {
      let heard = [];
      await poll(async () => (heard = heard.concat(await c.do("heard"))).length > 0);
      assert.deepEqual(heard, [["world", { n: 1 }]]);
    }
    assert.deepEqual(await from.do("heard"), []);
  });
  await check(of("serverSideEmit with acknowledgements"), async () => {
    const answers = await from.do("helloAck", "there", Buffer.from([9]));
    assert.deepEqual(answers.map((a) => a.name).sort(), others.map((c) => c.name).sort());
    for (const a of answers) if (binary) assert.deepEqual(Buffer.from(a.args[1]), Buffer.from([9]));
    for (const c of others) await c.do("heard");
  });
  await check(of("the number of servers"), async () => assert.equal(await from.do("count"), clients.length));
  await check(of("disconnects"), async () => {
    for (const [i, c] of others.entries()) {
      const extra = await client(c.name, c.url);
      later(() => extra.socket.disconnect());
      const gone = once(extra.socket, "disconnect");
      await from.do("disconnect", { to: [extra.id] }, i % 2 === 1);
      assert.equal((await gone)[0], "io server disconnect");
    }
    await poll(async () => (await from.do("fetch", {})).length === clients.length);
  });
}

async function rooms(from, c) {
  const [socket] = await from.do("fetch", { to: [c.id] });
  return socket.rooms;
}

const joined = (from, c, room) => poll(async () => (await rooms(from, c)).includes(room));

// together waits until all servers know of all, and hear each other.
async function together(clients) {
  for (const c of clients) {
    await poll(async () => (await c.do("count")) === clients.length && (await c.do("fetch", {})).length === clients.length);
  }
  for (const from of clients) {
    for (const c of clients) {
      await poll(async () => {
        await from.do("emit", { to: [c.name] }, { mark: `${from.name} hears` });
        return c.marks.has(`${from.name} hears`);
      });
    }
  }
}

// emits checks what a program does that only emits, with a server of each kind.
async function emits(clients, from) {
  const [one, other, third] = clients;
  const of = (what) => `${from.name}: ${what}`;
  const value = { n: 1.5, text: "é€😀", list: [null, true, -1], bytes: Buffer.from([0, 255]) };
  await check(of("emits"), async () => {
    for (const got of await reaches(clients, from, clients, "emit", {}, value)) {
      assert.deepEqual({ ...got, bytes: Buffer.from(got.bytes) }, value);
    }
    for (const c of clients) await reaches(clients, from, [c], "emit", { to: [c.name] }, 1);
    await mayReach(clients, from, [other], { to: [one.name, other.name], except: [one.id] });
  });
  await check(of("joins and leaves"), async () => {
    await from.do("join", { to: ["all"], except: [one.name] }, "new", "newer");
    await soon(clients, from, clients.slice(1), "emit", { to: ["new"] }, 1);
    await from.do("leave", { to: [third.name] }, "new");
    await soon(clients, from, [other, clients[3]], "emit", { to: ["new"] }, 1);
    await from.do("leave", {}, "new", "newer");
    await soon(clients, from, [], "emit", { to: ["new", "newer"] }, 1);
  });
  await check(of("serverSideEmit"), async () => {
    await from.do("hello", "world", { n: 1 });
    for (const c of clients) {
      let heard = [];
      await poll(async () => (heard = heard.concat(await c.do("heard"))).length > 0);
      assert.deepEqual(heard, [["world", { n: 1 }]]);
    }
  });
  await check(of("disconnects"), async () => {
    for (const [i, c] of clients.entries()) {
      const extra = await client(c.name, c.url);
      later(() => extra.socket.disconnect());
      const gone = once(extra.socket, "disconnect");
      await from.do("disconnect", { to: [extra.id] }, i % 2 === 1);
      assert.equal((await gone)[0], "io server disconnect");
    }
  });
}

// official is the official emitter, which does what a server can that only emits.
async function official() {
  const emitter = new Emitter(await connect(options.cluster));
  const chosen = ({ to = [], except = [], volatile }) => {
    const chain = emitter.to(to).except(except);
    return volatile ? chain.volatile : chain;
  };
  const does = {
    emit: (target, ...args) => chosen(target).emit("t", ...args),
    join: (target, ...rooms) => chosen(target).socketsJoin(rooms),
    leave: (target, ...rooms) => chosen(target).socketsLeave(rooms),
    disconnect: (target, close) => chosen(target).disconnectSockets(close),
    hello: (...args) => emitter.serverSideEmit("hello", ...args),
  };
  return { name: "the official emitter", do: async (what, ...args) => void does[what](...args) };
}

await main(async () => {
  const urls = new Map(Object.entries(options.servers));
  const theirs = options.cluster.kind === "nats" ? [] : ["node1", "node2"]; // over NATS there are only ours
  for (const name of theirs) urls.set(name, await start(name, options.cluster));
  const clients = [];
  await check("together", async () => {
    for (const [name, url] of urls) clients.push(Object.assign(await client(name, url), { url }));
    await together(clients);
  });
  for (const from of options.short ? clients.filter((c) => c.name.endsWith("1")) : clients) await methods(clients, from);
  if (options.cluster.kind === "classic") {
    await emits(clients, await official());
    await emits(clients, { name: "our emitter", do: (...args) => clients[0].do("emitter", ...args) });
  }
});
