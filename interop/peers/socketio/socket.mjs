// Checks of the Socket.IO protocol of version 5. README.md says which events the server has to know.
import assert from "node:assert/strict";

const engineMessage = "4";

// connected joins the main namespace.
async function connected(engine) {
  const socket = engine.openSocket();
  await socket.next(); // the session is open
  socket.send("40");
  await socket.next(); // the namespace is joined
  assert.equal(await socket.next(), '42["auth",{}]');
  return socket;
}

export async function connect(check, engine) {
  const joins = (name, packet, namespace, auth) =>
    check(`connect: ${name}`, async () => {
      const socket = engine.openSocket();
      await socket.next();
      socket.send(packet);
      const answer = await socket.next();
      const start = `40${namespace}`;
      assert.equal(answer.slice(0, start.length), start);
      const handshake = JSON.parse(answer.slice(start.length));
      assert.deepEqual(Object.keys(handshake), ["sid"]);
      assert.equal(typeof handshake.sid, "string");
      assert.equal(await socket.next(), `42${namespace}["auth",${auth}]`);
    });
  await joins("to the main namespace", "40", "", "{}");
  await joins("to the main namespace, with a payload", '40{"token":"123"}', "", '{"token":"123"}');
  await joins("to another namespace", "40/custom,", "/custom,", "{}");
  await joins("to another namespace, with a payload", '40/custom,{"token":"abc"}', "/custom,", '{"token":"abc"}');
  await check("connect: to an unknown namespace", async () => {
    const socket = engine.openSocket();
    await socket.next();
    socket.send("40/random");
    assert.equal(await socket.next(), '44/random,{"message":"Invalid namespace"}');
  });
  await check("connect: an invalid packet ends the connection", async () => {
    const socket = engine.openSocket();
    await socket.next();
    socket.send(`${engineMessage}abc`);
    await socket.closed();
  });
  await check("connect: without it the connection ends", async () => {
    await engine.openSocket().closed();
  });
}

export async function disconnect(check, engine) {
  await check("disconnect: from the main namespace", async () => {
    const socket = await connected(engine);
    socket.send("41");
    assert.equal(await socket.next(), "2"); // a ping: the session goes on
  });
  await check("disconnect: from another namespace", async () => {
    const socket = await connected(engine);
    assert.equal(await socket.next(), "2"); // there will be time enough until the next one
    socket.send("40/custom");
    await socket.next();
    await socket.next();
    socket.send("41/custom", '42["message","message to main namespace"]');
    assert.equal(await socket.next(), '42["message-back","message to main namespace"]');
  });
}

export async function message(check, engine) {
  const sends = (name, up, down) =>
    check(`message: ${name}`, async () => {
      const socket = await connected(engine);
      socket.send(...up);
      for (const want of down) assert.deepEqual(await socket.nextBut("2"), want);
    });
  const ends = (name, up) =>
    check(`message: ${name} ends the connection`, async () => {
      const socket = await connected(engine);
      socket.send(up);
      await socket.closed();
    });
  const placeholders = '{"_placeholder":true,"num":0},{"_placeholder":true,"num":1}';
  const attachments = [Buffer.from([1, 2, 3]), Buffer.from([4, 5, 6])];

  await sends("text", ['42["message",1,"2",{"3":[true]}]'], ['42["message-back",1,"2",{"3":[true]}]']);
  await sends(
    "attachments",
    [`452-["message",${placeholders}]`, ...attachments],
    [`452-["message-back",${placeholders}]`, ...attachments],
  );
  await sends("text, acknowledged", ['42456["message-with-ack",1,"2",{"3":[false]}]'], ['43456[1,"2",{"3":[false]}]']);
  await sends(
    "attachments, acknowledged",
    [`452-789["message-with-ack",${placeholders}]`, ...attachments],
    [`462-789[${placeholders}]`, ...attachments],
  );
  await ends("an unknown packet type", `${engineMessage}abc`);
  await ends("an invalid payload", "42{}");
  await ends("an invalid acknowledgement id", '42abc["message-with-ack",1,"2",{"3":[false]}]');
}
