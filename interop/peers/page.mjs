// A page in Chromium, to look at and use. See README.md.
import { newPage } from "./chromium.mjs";
import { emit, options, orders } from "./protocol.mjs";

const page = await newPage(options.viewport);
page.setDefaultTimeout(20_000);
page.on("pageerror", (error) => emit("error", { message: String(error) }));
page.on("console", (message) => {
  if (["error", "warning"].includes(message.type())) emit("error", { message: message.text() });
});

const carryOut = {
  goto: ({ url }) => page.goto(url),
  fill: ({ selector, text }) => page.fill(selector, text),
  click: ({ selector }) => page.click(selector),
  until: ({ script }) => page.waitForFunction(script),
  screenshot: ({ path }) => page.screenshot({ path, fullPage: true }),
};

await orders(async (order) => {
  try {
    await carryOut[order.order](order);
    emit("done");
  } catch (error) {
    emit("error", { message: `${JSON.stringify(order)}: ${error.message}` });
  }
});
