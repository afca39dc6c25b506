// Checks that a server speaks the Engine.IO protocol of version 3 or 4, or the Socket.IO protocol of version 5: case for
// case what the published test suites check. See README.md.
import { check, main, options } from "./check.mjs";
import * as engine from "./engine.mjs";
import * as socket from "./socket.mjs";

// numbered gives the checks the numbers of the published cases, which are in the same order.
function numbered(prefix) {
  let n = 0;
  return (name, run) => check(`${prefix}-${String(++n).padStart(2, "0")} ${name}`, run);
}

async function engineIO(version) {
  const check = numbered(`E${version}`);
  const e = new engine.Engine(options.url, version);
  await engine.handshakePolling(check, e);
  await engine.handshakeWebSocket(check, e, options.lenient);
  await engine.messagePolling(check, e, options.lenient);
  await engine.messageWebSocket(check, e);
  await engine.heartbeatPolling(check, e);
  await engine.heartbeatWebSocket(check, e);
  await engine.close(check, e);
  await engine.upgrade(check, e, true);
}

async function socketIO() {
  const check = numbered("S5");
  const e = new engine.Engine(options.url, 4);
  await engine.handshakePolling(check, e);
  await engine.handshakeWebSocket(check, e, options.lenient);
  await engine.heartbeatPolling(check, e);
  await engine.heartbeatWebSocket(check, e);
  await engine.close(check, e);
  await engine.upgrade(check, e, false);
  await socket.connect(check, e);
  await socket.disconnect(check, e);
  await socket.message(check, e);
}

const suites = { engineio3: () => engineIO(3), engineio4: () => engineIO(4), socketio5: socketIO };

main(suites[options.suite]);
