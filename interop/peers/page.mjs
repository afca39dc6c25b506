// A page in a browser, to look at and use. See README.md.
import { setTimeout } from "node:timers/promises";
import { newPage } from "./browsers.mjs";
import { emit, options, orders } from "./protocol.mjs";

const page = await newPage(options.browser, options.viewport);
if (options.dark) await page.emulateMediaFeatures([{ name: "prefers-color-scheme", value: "dark" }]);
const patience = 20_000; // milliseconds
page.setDefaultTimeout(patience);
page.on("pageerror", (error) => emit("error", { message: String(error) }));
page.on("console", (message) => {
  if (["error", "warn"].includes(message.type())) emit("error", { message: message.text() });
});

// waitForFunction would evaluate in the page's own name, which its Content-Security-Policy may forbid.
async function until(script) {
  for (const end = Date.now() + patience; !(await page.evaluate(script)); await setTimeout(50)) {
    if (Date.now() > end) throw new Error(`not true within ${patience} ms`);
  }
}

const carryOut = {
  goto: ({ url }) => page.goto(url),
  fill: ({ selector, text }) => page.locator(selector).fill(text),
  click: ({ selector }) => page.locator(selector).click(),
  until: ({ script }) => until(script),
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
