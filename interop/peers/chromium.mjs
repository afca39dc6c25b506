// Chromium without a window. It speaks to nobody but the pages it is told to open.
import { chromium } from "playwright-core";

export async function newPage(viewport = { width: 1280, height: 800 }) {
  const browser = await chromium.launch({
    executablePath: process.env.CHROMIUM || "/usr/bin/chromium",
    args: [
      "--no-sandbox", // which root cannot have
      "--disable-gpu",
      "--disable-quic",
      "--no-first-run",
      "--disable-background-networking",
      "--disable-component-update",
      "--disable-sync",
    ],
  });
  const context = await browser.newContext({ viewport, ignoreHTTPSErrors: true });
  return context.newPage();
}
