// Official clients that each read one channel of `baro serve` to its end, coming back whenever their network has failed them.
import { io } from "socket.io-client";
import { emit, options, orders } from "../protocol.mjs";

const { url, transports, clients } = options;
const ends = {}; // by channel, when it is known
let open = clients.length;
let unread = clients.length;

function read(channel, n) {
  let [epoch, offset, sessions, subscribed, done] = ["", 0, 0, false, false];
  // At first not all at once; those that come back do it when they like.
  const socket = io(url, { forceNew: true, transports, reconnectionDelay: 200, reconnectionDelayMax: 2000, timeout: 60_000, autoConnect: false });
  setTimeout(() => socket.connect(), n * 5);

  async function subscribe() {
    const { id } = socket;
    for (; socket.id === id && !done; await new Promise((resolve) => setTimeout(resolve, 200))) {
      const after = epoch ? `${epoch}:${offset}` : "oldest";
      const answer = await socket.emitWithAck("subscribe", channel, { after }).catch(() => undefined);
      if (!answer) return; // disconnected meanwhile
      if (!answer.error) break;
      const { code } = answer.error.data;
      // What may be tried again has a number below 1500.
      if (code === "not_recoverable" || !(answer.error.data.number < 1500)) return finish(`subscribing is answered with ${JSON.stringify(answer)}`);
    }
    if (!subscribed && --unread === 0) emit("ready");
    subscribed = true;
  }

  function finish(message) {
    if (done) return;
    done = true;
    socket.disconnect();
    emit("client", { channel, offset, epoch, sessions, message });
    if (--open === 0) process.exit(0);
  }

  function whole() {
    if (offset >= ends[channel]) finish("");
  }

  socket.on("connect", () => {
    sessions++;
    subscribe();
  });
  socket.on("unsubscribed", ({ error }) => {
    if (error.code === "not_recoverable") return finish(`unsubscribed: ${JSON.stringify(error)}`);
    subscribe();
  });
  socket.on("message", (m) => {
    const i = m.offset - 1; // one publisher, from 0
    if (m.channel !== channel || i !== offset || (epoch && m.epoch !== epoch)) {
      return finish(`after ${epoch}:${offset} of ${channel} comes ${m.epoch}:${m.offset} of ${m.channel}`);
    }
    const binary = typeof m.data !== "string";
    const text = binary ? Buffer.from(m.data).toString() : m.data;
    if (binary !== (i % 4 === 3) || !text.startsWith(`0/${i}/`)) return finish(`${m.epoch}:${m.offset} says ${text.slice(0, 40)}, binary: ${binary}`);
    [epoch, offset] = [m.epoch, m.offset];
    whole();
  });
  return { whole, status: () => !done && `${channel}: ${epoch}:${offset}, ${socket.connected ? socket.io.engine.transport.name : "not connected"}, session ${sessions}` };
}

const all = clients.map(read);
await orders((order) => {
  if (order.order === "status") return emit("status", { message: all.map((c) => c.status()).filter(Boolean).slice(0, 10).join("\n") });
  ends[order.channel] = order.messages;
  for (const c of all) c.whole();
});
