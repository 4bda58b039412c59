import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { launch, open } from "./browser.mjs";
import { freePort, Program, until } from "./program.mjs";

let program;
let browser;

before(async () => {
  program = new Program(await freePort());
  await program.start();
  browser = await launch();
});
after(async () => {
  await browser?.close();
  await program?.end();
});

const value = (page, name) => page.locator(`.gauge[data-name="${name}"] .value`).first().textContent();

test("data moves on the gauges", async () => {
  const page = await open(browser, program.url);
  await page.locator('.gauge.good[data-name="rpm"]').first().waitFor();
  const seen = new Set();
  await until("five different engine speeds", async () => seen.add(await value(page, "rpm")).size >= 5);
  for (const name of ["horsepower", "torque", "speed", "map", "tps"]) assert.match(await value(page, name), /^-?[\d.]+$/);
  assert.deepEqual(page.faults, []);
  await page.context().close();
});

test("a pull appears in the list by itself, with its peak", async () => {
  const page = await open(browser, program.url + "#/runs");
  const row = page.locator('tr[data-kind="pull"]').first();
  await row.waitFor({ timeout: 40_000 }); // the demo pulls every 20 s
  const text = await row.locator("td.n").first().textContent();
  const pull = (await program.get("runs?kind=pull")).runs.find((r) => text.startsWith(r.summary.peak_hp.toFixed(1)));
  assert.ok(pull, `${text} is the peak of no pull`);
  assert.ok(Math.abs(pull.summary.peak_hp / 99.5 - 1) < 0.01, `${pull.summary.peak_hp} hp`);
  await row.locator("a").click();
  const sheet = page.locator("img.sheet");
  await until("the sheet is drawn", () => sheet.evaluate((i) => i.complete && i.naturalWidth > 0));
  await page.locator(".u-legend").waitFor();
  assert.deepEqual(page.faults, []);
  await page.context().close();
});

test("a run is renamed, deleted and brought back", async () => {
  const page = await open(browser, program.url + "#/runs");
  await page.locator('tr[data-kind="pull"] a').first().click();
  await page.getByLabel("Name", { exact: true }).fill("third gear");
  await page.getByRole("button", { name: "Save" }).click();
  await page.getByText("Saved.").waitFor();
  await page.getByRole("button", { name: "Delete the run" }).click();
  await page.getByRole("status").getByText("third gear is deleted.").waitFor();
  assert.equal(await page.getByRole("link", { name: "third gear" }).count(), 0);
  await page.getByRole("button", { name: "Undo" }).click();
  await page.getByRole("link", { name: "third gear" }).waitFor();
  assert.equal((await program.get("runs?text=third")).total, 1);
  await page.context().close();
});

test("a file is imported by drag and drop, and its damage is located", async () => {
  const page = await open(browser, program.url + "#/import");
  const lines = ["Time (s),Engine RPM (rpm),Power (hp)"];
  for (let i = 0; i < 200; i++) lines.push(`${(i * 0.05).toFixed(2)},${2000 + i * 20},${i === 99 ? "oops" : (i / 2).toFixed(1)}`);
  const transfer = await page.evaluateHandle((text) => {
    const t = new DataTransfer();
    t.items.add(new File([text], "dropped.csv", { type: "text/csv" }));
    return t;
  }, lines.join("\n") + "\n");
  await page.locator(".drop").dispatchEvent("drop", { dataTransfer: transfer });
  const job = page.locator('[data-job="dropped.csv"][data-state="done"]');
  await job.waitFor();
  await job.getByText("1 place was not taken").click();
  await job.getByText("line 101").waitFor();
  assert.equal((await program.get("runs?kind=import")).total, 1);
  await page.context().close();
});

test("a recording is started and stopped", async () => {
  const page = await open(browser, program.url);
  await page.getByRole("button", { name: "Record", exact: true }).click();
  await page.getByRole("button", { name: /Stop recording/ }).click();
  await page.getByRole("button", { name: "Record", exact: true }).waitFor();
  await until("the recording is listed", async () => (await program.get("runs?kind=recording")).total === 1);
  await page.context().close();
});

test("a stopped source shows the banner and stale values, and started again neither", async () => {
  const page = await open(browser, program.url + "#/sources");
  await page.getByRole("button", { name: "Stop jetdrive" }).click();
  const banner = page.getByText(/Source jetdrive is disconnected/);
  await banner.waitFor();
  await page.getByRole("link", { name: "Live", exact: true }).click();
  await page.locator('.gauge.stale[data-name="rpm"]').first().waitFor();
  await page.locator('.gauge.stale[data-name="rpm"]').first().getByText(/no data for/).waitFor();
  await page.getByRole("link", { name: "Sources" }).click();
  await page.getByRole("button", { name: "Start jetdrive" }).click();
  await banner.waitFor({ state: "detached" });
  await page.getByRole("link", { name: "Live", exact: true }).click();
  await page.locator('.gauge.good[data-name="rpm"]').first().waitFor();
  assert.deepEqual(page.faults, []);
  await page.context().close();
});

test("the page connects again after the program was killed and started", async () => {
  const page = await open(browser, program.url);
  await page.locator('.gauge.good[data-name="rpm"]').first().waitFor();
  await program.stop("SIGKILL");
  await page.getByText(/No connection to dynotap/).waitFor();
  await page.locator('.gauge.stale[data-name="rpm"]').first().waitFor();
  await program.start();
  await page.locator('.gauge.good[data-name="rpm"]').first().waitFor();
  await page.getByText(/No connection to dynotap/).waitFor({ state: "detached" });
  await page.context().close();
});
