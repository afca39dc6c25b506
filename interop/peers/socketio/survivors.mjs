// Checks that clients come back when a server behind their balancer dies, which GET /die of the balancer has it do.
import assert from "node:assert/strict";
import { check, main, options, within } from "./check.mjs";
import { ask, connected, dial, event, upgraded } from "./dial.mjs";

const { clients, url } = options;

// answered asks until there is an answer: what was on its way when the connection broke is lost.
async function answered(socket) {
  for (;;) {
    const answer = await within(1000, ask(socket, "ack", 1), "answer").catch(() => null);
    if (answer) return answer;
  }
}

await main(() =>
  check("all come back", async () => {
    const sockets = await Promise.all(Array.from({ length: clients }, async () => upgraded(await connected(dial({ reconnection: true })))));
    const ids = new Set(sockets.map(({ id }) => id));
    const sessions = sockets.map((socket) => socket.io.engine.id);
    const dead = await (await fetch(`${url}/die`)).text();
    const theirs = sockets.filter((_, i) => sessions[i].startsWith(dead));
    assert.ok(theirs.length > 0 && theirs.length < clients, `${theirs.length} of ${clients} were there`);
    for (const socket of theirs) while (!socket.connected || ids.has(socket.id)) await event(socket, "connect");
    for (const socket of sockets) assert.deepEqual(await answered(socket), [1]);
  }),
);
