// Debian's Chromium, headless.

import { chromium } from "playwright-core";
import { limit } from "./program.mjs";

export async function launch() {
  return chromium.launch({ executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium", args: ["--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage"] });
}

export const sizes = { desktop: { width: 1920, height: 1080 }, tablet: { width: 820, height: 1180 }, phone: { width: 390, height: 844 } };

/** open gives a page that fails the test on any error it logs. */
export async function open(browser, url, options = {}) {
  const context = await browser.newContext({ viewport: sizes.desktop, ...options });
  const page = await context.newPage();
  page.setDefaultTimeout(limit);
  page.faults = [];
  page.on("pageerror", (e) => page.faults.push(String(e)));
  page.on("console", (m) => {
    // What the network answers is logged too, and is shown by the page itself.
    if (m.type() === "error" && !m.text().startsWith("Failed to load resource")) page.faults.push(m.text());
  });
  await page.goto(url);
  return page;
}
