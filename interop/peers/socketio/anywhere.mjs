// Checks servers behind a balancer that sends each request to the next of them, with many clients, a few at a time.
import assert from "node:assert/strict";
import { check, main, options } from "./check.mjs";
import { ask, connected, dial, event, transports, upgraded } from "./dial.mjs";

async function one(n) {
  const socket = await upgraded(await connected(dial()));
  for (const size of [0, 1, 10_000]) {
    const sent = [n, "x".repeat(size)];
    assert.deepEqual(await ask(socket, "ack", ...sent), sent);
  }
  const question = event(socket, "question");
  const answered = ask(socket, "ask", 5000, n);
  const [asked, ack] = await question;
  assert.equal(asked, n);
  ack(`yes ${n}`);
  assert.deepEqual(await answered, ["answer", `yes ${n}`]);
  const [self] = await ask(socket, "whoami");
  assert.equal(self.transport, transports.at(-1));
  const gone = event(socket, "disconnect");
  socket.disconnect();
  assert.equal((await gone)[0], "io client disconnect");
}

const together = 5;

await main(async () => {
  for (let n = 0; n < options.clients; n += together) {
    await check(`clients from ${n}`, () => Promise.all(Array.from({ length: together }, (_, i) => one(n + i))));
  }
});
