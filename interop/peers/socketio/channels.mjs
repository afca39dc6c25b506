// The official clients use the channels of `baro serve`.
import "./page/channels.js";
import { check, main } from "./check.mjs";
import { ready, transports, version } from "./dial.mjs";

await main(async () => {
  for (const [name, run] of Object.entries(globalThis.channelChecks)) {
    await check(name, async () => {
      const sockets = await Promise.all([ready(), ready()]);
      await run(sockets, ["v" + version, ...transports, name].join("/"));
    });
  }
});
