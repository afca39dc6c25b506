// The official clients use the channels of `baro serve`.
import "./page/channels.js";
import { check, main, options } from "./check.mjs";
import { ready, transports, version } from "./dial.mjs";

await main(async () => {
  for (const [name, run] of Object.entries(globalThis.channelChecks)) {
    if (options.leave?.includes(name)) continue;
    await check(name, async () => {
      const sockets = await Promise.all([ready(), ready()]);
      await run(sockets, [options.prefix, "v" + version, ...transports, name].filter(Boolean).join("/"));
    });
  }
});
