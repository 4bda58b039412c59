import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { resolve } from "node:path";
import { after, before, test } from "node:test";
import { launch, open } from "./browser.mjs";
import { freePort, Program, until } from "./program.mjs";

const binary = resolve(import.meta.dirname, "../../bin/dynotap");
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

test("a backup is downloaded while the demo records, and it is whole", async () => {
  const page = await open(browser, program.url + "#/settings");
  const download = page.waitForEvent("download");
  await page.getByRole("button", { name: /Download a backup/ }).click();
  const file = await (await download).path();
  await page.locator('[data-backup="result"]').getByText(/is whole: \d+ files/).waitFor();
  const said = execFileSync(binary, ["backup", "verify", "--json", file], { encoding: "utf8" });
  const made = JSON.parse(said);
  assert.ok(made.runs >= 1 && made.problems.length === 0, said);
  assert.deepEqual(page.faults, []);
  await page.context().close();
});

test("storage tells what is free and how long it lasts", async () => {
  const page = await open(browser, program.url + "#/settings");
  const facts = page.locator('[data-storage="facts"]');
  await facts.waitFor();
  const storage = await program.get("storage");
  assert.ok(storage.free_bytes > 0 && storage.per_minute_bytes > 0 && storage.hours_left > 0, JSON.stringify(storage));
  await facts.getByText(/of recording/).waitFor();
  await page.context().close();
});

test("settings are searched, by section, with units and where they come from", async () => {
  const page = await open(browser, program.url + "#/settings");
  await page.locator('[data-section="queue"]').waitFor();
  assert.equal(await page.getByText("queue.flush_interval_sec").isVisible(), false);
  await page.getByLabel("Search").fill("flush_interval");
  const row = page.locator("tr", { hasText: "queue.flush_interval_sec" });
  await row.waitFor();
  assert.match(await row.textContent(), /5 s\s*default/);
  assert.equal(await page.locator("details[data-section]").count(), 1);
  await page.getByLabel("Search").fill("");
  await page.getByLabel("Only what is set").check();
  await until("only what is set is shown", async () => (await page.locator("tr.given").count()) === (await page.locator("tbody tr").count()));
  assert.match(await page.locator("tr", { hasText: "queue.persist_to_disk" }).textContent(), /true\s*preset live_capture/);
  await page.context().close();
});
