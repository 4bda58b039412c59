// Dead letters of the real program: it is killed while its queue is full, the
// channel sets of what waits are taken out of its database, and it is started
// again. Once they are put back, a retry succeeds.

import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { launch, open } from "./browser.mjs";
import { freePort, Program, until } from "./program.mjs";

let skip = false;
try {
  execFileSync("python3", ["-c", "import sqlite3; assert sqlite3.sqlite_version_info >= (3, 37)"], { stdio: "ignore" });
} catch {
  skip = "a database is damaged with python3 and SQLite 3.37 or newer";
  if (process.env.REQUIRE_ALL) throw new Error(skip);
}

const channelSets = `
import sqlite3, sys
d = sqlite3.connect(sys.argv[1])
d.execute("ATTACH ? AS beside", [sys.argv[1] + ".kept"])
if sys.argv[2] == "take":
    d.execute("CREATE TABLE beside.kept AS SELECT * FROM channel_sets")
    d.execute("DELETE FROM channel_sets")
else:
    d.execute("INSERT INTO channel_sets SELECT * FROM beside.kept")
d.commit()
`;
const sets = (what) => execFileSync("python3", ["-c", channelSets, join(program.data, "dynotap.db"), what]);

// Nothing is delivered within the test, so that there is something to kill.
const slow = { preset: "live_capture", queue: { priority_enabled: false, flush_interval_sec: 3600, batch_size: 100000 } };
const quiet = { preset: "live_capture", display: { units: "metric" }, data_sources: { jetdrive: { enabled: false }, innovate: { enabled: false } } };

let program;
let browser;

before(async () => {
  if (skip) return;
  program = new Program(await freePort(), { config: slow });
  await program.start();
  await until("batches of the dyno wait", async () => (await program.get("stats")).sources.jetdrive.received >= 120);
  await program.stop("SIGKILL");
  sets("take");
  Object.assign(program.options, { demo: false, config: quiet });
  await program.start();
  await until("all have failed", async () => {
    const q = await program.get("queue");
    return q.current_size === 0 && q.dead_letters >= 5;
  });
  browser = await launch();
});
after(async () => {
  await browser?.close();
  await program?.end();
});

const figure = (value, unit) => `${Number(value.toPrecision(7))} ${unit}`;
const total = async () => (await program.get("stats")).total;

test("a dead letter is shown with its samples, retried and stored; one is deleted, the rest cleared after a question", { skip }, async () => {
  const page = await open(browser, program.url + "#/queue");
  const listed = (await program.get("dead-letters?limit=50")).dead_letters;
  const dead = (await program.get("queue")).dead_letters;
  const letter = (n) => page.locator(`[data-letter="${listed[n].id}"]`);
  const banner = page.getByRole("alert").getByText(/dead letters: batches that could not be stored/);
  await banner.waitFor();
  await letter(0).getByText(/no such channel set/).first().waitFor();
  await letter(0).getByRole("button", { name: "Show samples" }).click();
  await letter(0).getByText(/It cannot be read: .*no such channel set/).waitFor();

  await program.stop();
  sets("put back");
  await program.start();
  await page.reload();
  const { at, sample } = await converted(listed);
  await letter(at).getByRole("button", { name: "Show samples" }).click();
  const row = letter(at).getByRole("row").filter({ hasText: (sample.name || sample.label).replaceAll("_", " ") }).filter({ hasText: figure(sample.value, sample.unit) });
  await row.getByText(figure(sample.native_value, sample.native_unit)).first().waitFor();

  const was = await total();
  await letter(at).getByRole("button", { name: "Retry" }).click();
  await letter(at).waitFor({ state: "detached" });
  await until("what was retried is stored", async () => (await total()).processed === was.processed + listed[at].samples);
  assert.equal((await total()).dead, was.dead - listed[at].samples);

  const other = at === 0 ? 1 : 0;
  await letter(other).getByRole("button", { name: "Delete" }).click();
  await letter(other).waitFor({ state: "detached" });
  assert.equal((await total()).discarded, was.discarded + listed[other].samples);

  await asksBeforeItClears(page, dead - 2);
  await until("nothing is left", async () => (await page.locator("[data-letter]").count()) === 0);
  await banner.waitFor({ state: "detached" });
  assert.equal((await total()).dead, 0);
  assert.deepEqual(page.faults, []);
});

/** converted finds a letter that shows a sample in another unit than it came in. */
async function converted(listed) {
  for (let at = 0; at < listed.length; at++) {
    const { contents } = await program.get(`dead-letters/${listed[at].id}?limit=20`);
    const sample = contents.samples.find((s) => s.native_unit !== s.unit && s.value !== s.native_value);
    if (sample) return { at, sample };
  }
  throw new Error("every sample is shown in the unit that it came in");
}

/** asksBeforeItClears goes by keyboard: the dialog holds the focus, Escape keeps everything. */
async function asksBeforeItClears(page, left) {
  const clear = page.getByRole("button", { name: "Clear" });
  const dialog = page.getByRole("dialog");
  await clear.focus();
  await page.keyboard.press("Enter");
  await dialog.getByRole("heading", { name: new RegExp(`Delete ${left} dead letters`) }).waitFor();
  const seen = new Set();
  for (let i = 0; i < 6; i++) {
    const at = await page.evaluate(() => (document.activeElement.closest("dialog") ? document.activeElement.textContent : document.activeElement.tagName));
    seen.add(at);
    await page.keyboard.press("Tab");
  }
  seen.delete("BODY"); // where the browser's own bar is in the order
  assert.deepEqual([...seen].sort(), ["Delete all", "Keep them"]);
  await page.keyboard.press("Escape");
  await dialog.waitFor({ state: "hidden" });
  assert.ok(await clear.evaluate((b) => b === document.activeElement), "the focus is back on Clear");
  assert.equal((await program.get("queue")).dead_letters, left);
  await page.keyboard.press("Enter");
  await dialog.getByRole("button", { name: "Delete all" }).focus();
  await page.keyboard.press("Enter");
}
