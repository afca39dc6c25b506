// Checks that nothing is lost, doubled or put out of order, upgrades or not.
import assert from "node:assert/strict";
import { setImmediate as turn } from "node:timers/promises";
import { check } from "./check.mjs";
import { ask, connected, dial, event, transports, url } from "./dial.mjs";
import { Way } from "./way.mjs";

const all = 10_000; // events each way
const piece = 500;
const before = 2_000; // by polling, when an upgrade follows
const during = 8_000; // at most, before the upgrade is done

export async function ordered() {
  const upgrades = transports.length > 1;
  await check(`${all} events each way in order${upgrades ? ", across an upgrade" : ""}`, async () => {
    const way = await Way.to(url);
    const release = upgrades ? way.hold() : () => {};
    const socket = await connected(dial({ way: way.url }));
    const { engine } = socket.io;
    assert.equal(engine.transport.name, transports[0]);
    const state = { upgraded: !upgrades };
    const upgrade = upgrades ? event(engine, "upgrade").then(() => (state.upgraded = true)) : null;

    // Whoever has no upgrade yet goes on slowly, so that some of the events are surely left for afterwards.
    const mayGoOn = async (i) => {
      if (i === before) release();
      if (i >= during && !state.upgraded) await upgrade;
    };
    const up = async () => {
      for (let i = 0; i < all; i++) {
        if (i % piece === 0) await mayGoOn(i);
        if (i % 20 === 0) await turn();
        socket.emit("count", i);
      }
      return (await ask(socket, "counted"))[0];
    };
    const down = async () => {
      let next = 0;
      const got = new Promise((resolve, reject) => {
        const order = async (from) => {
          if (from >= all) return;
          await mayGoOn(from);
          socket.emit("numbers", from, from + piece);
        };
        socket.on("number", (i) => {
          if (i !== next++) return reject(new Error(`got ${i}, want ${next - 1}`));
          if (next === all) return resolve(next);
          // Two pieces are on their way at any time.
          if (next % piece === 0) order(next + piece);
        });
        order(0);
        order(piece);
      });
      return got;
    };
    const [counted, received] = await Promise.all([up(), down()]);
    assert.deepEqual(counted, { next: all, wrong: 0 });
    assert.equal(received, all);
    assert.equal(engine.transport.name, transports.at(-1));
  });
}
