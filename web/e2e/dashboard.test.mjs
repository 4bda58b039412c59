import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { drop, log } from "./files.mjs";
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

// What the demo's engine makes (dynotap prints it at its start).
const engine = { power: 99.5, torque: 110.0 };

test("a pull appears in the list by itself, with the engine's peak", async (t) => {
  const page = await open(browser, program.url + "#/runs");
  await page.evaluate(() => {
    globalThis.shownAt = {};
    const look = () => {
      for (const row of document.querySelectorAll('tr[data-kind="pull"]')) globalThis.shownAt[row.dataset.run] ??= Date.now();
    };
    new MutationObserver(look).observe(document.body, { childList: true, subtree: true });
    look();
  });
  const row = page.locator('tr[data-kind="pull"]').first();
  await row.waitFor({ timeout: 40_000 }); // the demo pulls every 20 s
  const text = await row.locator("td.n").first().textContent();
  const pull = (await program.get("runs?kind=pull")).runs.find((r) => text.startsWith(r.summary.peak_hp.toFixed(1)));
  assert.ok(pull, `${text} is the peak of no pull`);
  assert.match(program.process.said, new RegExp(`simulated engine: ${engine.power} hp.* ${engine.torque.toFixed(1)} ft`));
  assert.ok(Math.abs(pull.summary.peak_hp / engine.power - 1) < 0.005, `${pull.summary.peak_hp} hp`);
  assert.ok(Math.abs(pull.summary.peak_torque / engine.torque - 1) < 0.005, `${pull.summary.peak_torque} ft·lb`);
  const shownAt = await page.evaluate((id) => globalThis.shownAt[id], pull.id);
  t.diagnostic(`a pull is in the list ${((shownAt - Date.parse(pull.ended_at)) / 1000).toFixed(2)} s after its end`);
  await row.locator("a").click();
  const sheet = page.locator("img.sheet");
  await until("the sheet is drawn", () => sheet.evaluate((i) => i.complete && i.naturalWidth > 0));
  await page.locator(".u-legend").waitFor();
  assert.deepEqual(page.faults, []);
  await page.context().close();
});

test("a page that is opened later begins with what was recorded before", async () => {
  const page = await open(browser, program.url + "#/live");
  // A pull that is seen as it happens is first in progress.
  const seen = await page.waitForFunction(() => {
    const caption = [...document.querySelectorAll("figcaption")].find((c) => c.querySelector(".top"));
    return /\d+\.\d hp/.test(caption?.querySelector(".top").textContent ?? "") && caption.querySelector("strong").textContent;
  });
  assert.equal(await seen.jsonValue(), "Last pull");
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

test("files are imported by drag and drop: good ones, damaged ones with their places, known ones not again", async () => {
  const page = await open(browser, program.url + "#/import");
  const job = (name, state) => page.locator(`[data-job="${name}"][data-state="${state}"]`);
  const good = log(0.5);
  await drop(page, { "good.csv": good, "damaged.csv": log(0.4, 99), "nothing.bin": "\0\x01\x02 no log at all" });
  await job("good.csv", "done").waitFor();
  assert.equal(await job("good.csv", "done").getByText("not taken").count(), 0);
  await job("damaged.csv", "done").getByText("1 place was not taken").click();
  await job("damaged.csv", "done").getByText(/line 101.*oops/).waitFor();
  const failed = await job("nothing.bin", "failed").getByRole("alert").textContent();
  assert.ok(failed.length > 20, failed);
  assert.equal((await program.get("runs?kind=import")).total, 2);

  await drop(page, { "again.csv": good });
  await job("again.csv", "done").getByText("already imported").waitFor();
  assert.equal((await program.get("runs?kind=import")).total, 2);
  await job("again.csv", "done").getByRole("link").first().click();
  await page.locator("h1").getByText(/good/).waitFor();
  assert.deepEqual(page.faults, []);
  await page.context().close();
});

test("many files say how far they are", async () => {
  const page = await open(browser, program.url + "#/import");
  await drop(page, { "a.csv": log(0.6), "b.csv": log(0.7), "photo.jpg": "\0\x01\x02 no log at all", "c.csv": log(0.8) });
  await page.getByText("4 of 4 files read, 1 failed.").waitFor();
  assert.equal(await page.locator('[data-state="done"]').count(), 3);
  await page.context().close();
});

test("everything of a file is deleted, its samples too", async () => {
  const { capture } = (await program.get("runs?kind=import&text=damaged")).runs[0];
  const { runs } = await program.get(`runs?capture=${capture}`);
  const before = (await program.get("storage")).originals_bytes;
  const page = await open(browser, `${program.url}#/runs/${capture}`);
  const all = runs.length > 1 ? page.getByRole("button", { name: `Delete all ${runs.length} runs of this file` }) : page.getByRole("button", { name: "Delete the run" });
  await all.click();
  await page.getByText("Undo").waitFor();
  await page.goto("about:blank"); // leaving the page ends the time for undoing
  await until("all is deleted", async () => (await program.get(`runs?capture=${capture}`)).total === 0);
  assert.ok((await program.get("storage")).originals_bytes < before);
  await page.context().close();
});

test("a recording is started and stopped; a tablet whose clock is wrong tells how long it lasts too", async () => {
  const page = await open(browser, program.url);
  await page.addInitScript(() => {
    const now = Date.now;
    Date.now = () => now() + 7_200_000;
  });
  await page.reload();
  await page.locator('.gauge.good[data-name="rpm"]').first().waitFor();
  await page.getByRole("button", { name: "Record", exact: true }).click();
  await page.getByRole("button", { name: /^Stop recording 0:\d\d$/ }).click();
  await page.getByRole("button", { name: "Record", exact: true }).waitFor();
  await until("the recording is listed", async () => (await program.get("runs?kind=recording")).total === 1);
  await page.context().close();
});

test("a sensor whose source is stopped is not said to measure", async () => {
  const page = await open(browser, program.url + "#/sources");
  const sensor = page.locator('[data-sensor="1"]');
  await sensor.getByText("measures").waitFor();
  await page.getByRole("button", { name: "Stop innovate" }).click();
  await sensor.getByText(/nothing heard since \d\d:\d\d:\d\d/).waitFor();
  assert.equal(await sensor.getByText("measures").count(), 0);
  await page.getByRole("button", { name: "Start innovate" }).click();
  await sensor.getByText("measures").waitFor();
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
