// A client by which a server of a cluster is told what to do. See README.md.
import { once } from "node:events";
import { io } from "socket.io-client";

// client connects to a server, notes what it is sent, and answers questions with its name.
export async function client(name, url) {
  const socket = io(url, { forceNew: true, transports: ["websocket"], reconnection: false });
  const c = { name, socket, log: [], marks: new Set(), seen: () => {} };
  socket.on("t", (...args) => {
    if (args[0]?.mark) c.marks.add(args[0].mark);
    else c.log.push(args[0]);
    c.seen();
  });
  socket.on("q", (question, ack) => ack({ name, question, key: Buffer.from([7]) }));
  await once(socket, "connect");
  c.id = socket.id;
  c.do = async (what, ...args) => {
    const { result, error } = await socket.emitWithAck("do", what, args);
    if (error) throw new Error(`${name} ${what}: ${error}`);
    return result;
  };
  return c;
}

// poll waits until f returns true.
export async function poll(f) {
  for (;;) {
    if (await f()) return;
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
}
