// Browsers without a window. They speak to nobody but the pages they are told to open.
import puppeteer from "puppeteer-core";

const browsers = {
  chromium: {
    browser: "chrome",
    executablePath: process.env.CHROMIUM || "/usr/bin/chromium",
    args: [
      "--no-sandbox", // which root cannot have
      "--disable-gpu",
      "--no-first-run",
      "--disable-background-networking",
      "--disable-component-update",
      "--disable-sync",
    ],
  },
  firefox: {
    browser: "firefox",
    executablePath: process.env.FIREFOX || "/usr/bin/firefox-esr",
  },
};

// launch starts one, chromium or firefox, which ends with this process. It may take as long as it likes: the tests are impatient.
export function launch(name = "chromium", ...more) {
  const { args: common = [], ...browser } = browsers[name];
  return puppeteer.launch({ acceptInsecureCerts: true, timeout: 0, protocolTimeout: 0, ...browser, args: [...common, ...more] });
}

export async function newPage(name, viewport = { width: 1280, height: 800 }) {
  const browser = await launch(name, ...(name === "firefox" ? [] : ["--disable-quic"]));
  const page = await browser.newPage();
  await page.setViewport(viewport);
  return page;
}
