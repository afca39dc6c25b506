// Official servers with an official adapter over Redis, which do what they are told by an event. See README.md.
import { createAdapter, createShardedAdapter } from "@socket.io/redis-adapter";
import { createAdapter as createStreamsAdapter } from "@socket.io/redis-streams-adapter";
import Redis from "ioredis";
import { once } from "node:events";
import { createServer } from "node:http";
import { createClient } from "redis";
import { Server } from "socket.io";

const hosts = (addresses) => addresses.map((a) => ({ host: a.split(":")[0], port: Number(a.split(":")[1]) }));

// connect returns a client of Redis: of a single server by one package or, if io, by the other, which a Redis Cluster and Sentinel
// are used by.
export async function connect({ redis, sentinel }, io) {
  if (sentinel || io || redis.length > 1) {
    const client = sentinel
      ? new Redis({ sentinels: hosts(redis), name: sentinel })
      : redis.length > 1
        ? new Redis.Cluster(hosts(redis), { shardedSubscribers: true })
        : new Redis(`redis://${redis[0]}`);
    client.on("error", () => {});
    return client;
  }
  const client = createClient({ url: `redis://${redis[0]}` });
  client.on("error", () => {});
  await client.connect();
  return client;
}

async function adapter(cluster, io) {
  const { kind, settings } = cluster;
  const client = await connect(cluster, io);
  if (kind === "streams") return createStreamsAdapter(client, settings);
  return (kind === "sharded" ? createShardedAdapter : createAdapter)(client, await connect(cluster, io), settings);
}

// start starts a server and returns its URL.
export async function start(name, cluster) {
  const http = createServer();
  const io = new Server(http, {
    adapter: await adapter(cluster, cluster.kind === "classic" && name === "node2"),
    ...(cluster.recovery ? { connectionStateRecovery: cluster.recovery } : {}),
  });
  play(io, name);
  http.listen(0, "127.0.0.1");
  await once(http, "listening");
  return `http://127.0.0.1:${http.address().port}`;
}

function chosen(io, { to = [], except = [], volatile, timeout }) {
  let chain = io.to(to).except(except);
  if (volatile) chain = chain.volatile;
  return timeout ? chain.timeout(timeout) : chain;
}

function play(io, name) {
  const heard = [];
  io.on("hello", (...args) => {
    const ack = typeof args.at(-1) === "function" ? args.pop() : undefined;
    heard.push(args);
    ack?.({ name, args });
  });
  const does = {
    emit: (target, ...args) => void chosen(io, target).emit("t", ...args),
    ask: (target, ...args) => chosen(io, target).emitWithAck("q", ...args),
    fetch: async (target) =>
      (await chosen(io, target).fetchSockets()).map(({ id, rooms, data, handshake }) => ({
        id,
        rooms: [...rooms],
        data,
        query: handshake.query,
        address: handshake.address,
      })),
    tell: async (id, ...args) => {
      const [socket] = await io.in(id).fetchSockets();
      socket.emit("t", ...args);
    },
    join: (target, ...rooms) => chosen(io, target).socketsJoin(rooms),
    leave: (target, ...rooms) => chosen(io, target).socketsLeave(rooms),
    disconnect: (target, close) => chosen(io, target).disconnectSockets(close),
    hello: (...args) => void io.serverSideEmit("hello", ...args),
    helloAck: (...args) => io.serverSideEmitWithAck("hello", ...args),
    heard: () => heard.splice(0),
    count: () => io.of("/").adapter.serverCount(),
  };
  io.on("connection", (socket) => {
    if (!socket.recovered) {
      socket.data = { server: name, key: Buffer.from([1, 2, 3]) };
      socket.join(["all", name]);
    }
    socket.on("do", async (what, args, ack) => {
      try {
        ack({ result: await does[what](...args) });
      } catch (error) {
        ack({ error: error.message });
      }
    });
  });
}
