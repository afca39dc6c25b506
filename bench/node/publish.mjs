// The official Socket.IO server with one of its Redis adapters, or the official emitter, as a publisher: it emits events to a room that
// has no members here, as fast as Redis takes them, and tells how much processor time that took. See ../redis_test.go.
import { createAdapter, createShardedAdapter } from "@socket.io/redis-adapter";
import { Emitter } from "@socket.io/redis-emitter";
import { createAdapter as createStreamsAdapter } from "@socket.io/redis-streams-adapter";
import { createClient } from "redis";
import { Server } from "socket.io";

const [url, kind, events, size] = process.argv.slice(2);
const publisher = createClient({ url });
const subscriber = publisher.duplicate();
await Promise.all([publisher.connect(), subscriber.connect()]);
const room = {
  classic: () => new Server({ adapter: createAdapter(publisher, subscriber) }),
  sharded: () => new Server({ adapter: createShardedAdapter(publisher, subscriber) }),
  streams: () => new Server({ adapter: createStreamsAdapter(publisher) }),
  emitter: () => new Emitter(publisher),
}[kind]().to("room");
const text = "x".repeat(Number(size));

async function emit(n) {
  for (let i = 1; i <= n; i++) {
    room.emit("message", text);
    if (i % 500 === 0) await publisher.ping(); // which is answered when all before it is
  }
  await publisher.ping();
}

await emit(50_000); // until the code is compiled
const before = process.cpuUsage();
const start = performance.now();
await emit(Number(events));
const { user, system } = process.cpuUsage(before);
console.log(JSON.stringify({ cpu: (user + system) / 1e6, elapsed: (performance.now() - start) / 1e3 }));
process.exit(0);
