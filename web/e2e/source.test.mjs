// A source that is killed in earnest: the simulated dyno is a process of its
// own, on a network of its own on loopback.

import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { launch, open, sizes } from "./browser.mjs";
import { freeNetwork, freePort, Process, Program, until } from "./program.mjs";

let network;
let program;
let dyno;
let browser;

const switchOn = () => (dyno = new Process(["simulate", "jetdrive", ...network]));

before(async () => {
  network = await freeNetwork();
  program = new Program(await freePort(), { demo: false, args: network });
  await program.start();
  switchOn();
  browser = await launch();
});
after(async () => {
  await browser?.close();
  await dyno?.stop("SIGKILL");
  await program?.end();
});

test("a tablet shows every column of the providers", async () => {
  const page = await open(browser, program.url + "#/sources", { viewport: sizes.tablet });
  const table = page.getByRole("region", { name: "Providers of jetdrive" });
  await table.getByText("synchronised").first().waitFor();
  await table.getByText("counts from its own start").first().waitFor();
  assert.ok(await table.evaluate((t) => t.scrollWidth <= t.clientWidth), "nothing is cut off");
  await page.context().close();
});

test("a dyno that is killed greys its values and is named by the banner with what to do; switched on again its values move", async (t) => {
  const page = await open(browser, program.url);
  const rpm = page.locator('.gauge[data-name="rpm"]').first();
  const value = rpm.locator(".value");
  await page.locator('.gauge.good[data-name="rpm"]').first().waitFor();

  const killed = Date.now();
  await dyno.stop("SIGKILL");
  await page.locator('.gauge.stale[data-name="rpm"]').first().waitFor();
  t.diagnostic(`grey ${Date.now() - killed} ms after the kill`);
  await rpm.getByText(/no data for [\d.]+ s/).waitFor();
  const before = await value.textContent();
  const banner = page.getByRole("alert").locator("p").filter({ hasText: /Source jetdrive/ });
  await banner.waitFor();
  t.diagnostic(`banner ${Date.now() - killed} ms after the kill: ${await banner.first().textContent()}`);
  await banner.getByText(/dyno/i).first().waitFor(); // what to look at
  await page.locator(".badge").getByText("no data", { exact: true }).waitFor();
  assert.equal(await value.textContent(), before, "what is not heard does not move");

  switchOn();
  await banner.waitFor({ state: "detached" });
  await page.locator('.gauge.good[data-name="rpm"]').first().waitFor();
  await page.locator(".badge").getByText("live", { exact: true }).waitFor();
  const seen = new Set();
  await until("five different engine speeds", async () => seen.add(await value.textContent()).size >= 5);
  assert.deepEqual(page.faults, []);
});
