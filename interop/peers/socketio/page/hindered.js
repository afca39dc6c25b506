// What becomes of a client whose WebSocket does not pass: see ../README.md.
async function hindered() {
  await check("stays on polling, and loses nothing", async () => {
    const all = 2000;
    const socket = await dial();
    const { engine } = socket.io;
    const failed = options.proxy === "swallow" ? null : event(engine, "upgradeError");
    await connected(socket);
    let next = 0;
    const numbers = new Promise((resolve, reject) => {
      socket.on("number", (i) => {
        if (i !== next++) reject(new Error(`got ${i}, want ${next - 1}`));
        if (next === all) resolve();
      });
    });
    for (let i = 0; i < all; i++) {
      if (i % 100 === 0) {
        socket.emit("numbers", i, i + 100);
        await sleep(10);
      }
      socket.emit("count", i);
    }
    await numbers;
    equal(await ask(socket, "counted"), [{ next: all, wrong: 0 }]);
    await failed;
    equal((await ask(socket, "ack", new Uint8Array([1, 2])))[0], new Uint8Array([1, 2]));
    const [me] = await ask(socket, "whoami");
    equal([engine.transport.name, me.transport, me.id], ["polling", "polling", socket.id]);
  });
}
