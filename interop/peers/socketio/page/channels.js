// What clients do with the channels of `baro serve`, on pages and in Node.js: see channels.mjs.
(() => {
  const ask = (socket, name, ...args) => new Promise((resolve) => socket.emit(name, ...args, resolve));
  const same = (got, want) => {
    const [g, w] = [got, want].map((v) => JSON.stringify(v));
    if (g !== w) throw new Error(`${g.slice(0, 500)}, want ${w.slice(0, 500)}`);
  };
  const bytes = async (data) => {
    if (globalThis.Blob && data instanceof Blob) data = await data.arrayBuffer();
    return [...(data instanceof ArrayBuffer ? new Uint8Array(data) : data)];
  };

  // Each check is a name and what it does with two sockets and a channel of its own.
  globalThis.channelChecks = {
    async "is acknowledged"([a, b], channel) {
      const begun = await ask(a, "subscribe", channel, { after: "now" });
      same([typeof begun.epoch, begun.offset], ["string", 0]);
      const arrived = new Promise((resolve) => a.on("message", resolve));
      const sent = await ask(b, "publish", channel, "안녕", { event: "greeting", id: "x" });
      same(sent, { offset: 1, epoch: begun.epoch, id: "x" });
      const m = await arrived;
      same([m.channel, m.offset, m.epoch, m.id, m.event, m.data], [channel, 1, begun.epoch, "x", "greeting", "안녕"]);
      same((await ask(b, "publish", "", "x")).error.data.code, "invalid_name");
      same((await ask(a, "subscribe", channel)).error.data.code, "subscribed");
      same([await ask(a, "unsubscribe", channel), await ask(a, "unsubscribe", channel)], [true, false]);
    },
    async "carries binary, and what was missed"([a, b], channel) {
      await ask(b, "publish", channel, new Uint8Array([0, 255, 13, 10]).buffer);
      await ask(b, "publish", channel, { n: [1, 2.5] });
      const got = [];
      a.on("message", (m) => got.push(m));
      same((await ask(a, "subscribe", channel, { after: "oldest" })).offset, 0);
      same([await bytes(got[0].data), got[1].data], [[0, 255, 13, 10], '{"n":[1,2.5]}']);
    },
    async "2000 messages each way"([a, b], channel) {
      const count = 2000;
      const there = [channel, channel + "/back"];
      const received = [a, b].map(
        (socket, i) =>
          new Promise((resolve, reject) => {
            let next = 0;
            socket.on("message", (m) => {
              if (m.channel !== there[i] || m.offset !== next + 1 || m.data !== `${next} ${"x".repeat(next % 300)}`) {
                reject(new Error(`message ${next}: ${JSON.stringify(m)}`));
              } else if (++next === count) resolve();
            });
          }),
      );
      for (const [i, socket] of [a, b].entries()) await ask(socket, "subscribe", there[i]);
      const acknowledged = [];
      for (let i = 0; i < count; i++) {
        const text = `${i} ${"x".repeat(i % 300)}`;
        acknowledged.push(ask(b, "publish", there[0], text), ask(a, "publish", there[1], text));
      }
      const places = await Promise.all(acknowledged);
      same(places.map((p) => p.offset), places.map((_, i) => (i >> 1) + 1));
      await Promise.all(received);
    },
  };
})();
