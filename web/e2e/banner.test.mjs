// What the banner says when something is wrong, each thing brought about in
// the real program from outside.

import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { launch, open } from "./browser.mjs";
import { freePort, Program } from "./program.mjs";

let browser;

before(async () => {
  browser = await launch();
});
after(() => browser?.close());

/** banner starts a program, waits for each text and gives the warnings that are shown with it. */
async function banner(options, ...texts) {
  const program = new Program(await freePort(), options);
  try {
    await program.start();
    const page = await open(browser, program.url);
    for (const text of texts) {
      const warning = page.getByRole("alert").locator("p").filter({ hasText: text }).first();
      await warning.waitFor();
      const [what, whole] = [await warning.locator("strong").textContent(), await warning.textContent()];
      assert.ok(whole.length > what.length + 20, `says what to do: ${whole}`);
    }
    assert.deepEqual(page.faults, []);
    await page.context().close();
  } finally {
    await program.end();
  }
}

// Nothing is delivered within the test.
const stuck = { priority_enabled: false, flush_interval_sec: 3600, batch_size: 100000 };

test("a queue that fills", () => banner({ config: { preset: "live_capture", queue: { ...stuck, max_size: 300 } } }, /The queue is \d+ % full.*The disk does not keep up/));

test("samples that are dropped", () =>
  banner({ config: { preset: "live_capture", queue: { ...stuck, max_size: 20, drop_on_full: true, drop_oldest: true } } }, /samples of jetdrive.* were dropped in the last 10 s/));

test("a clock that is not synchronised", () =>
  banner({ config: { preset: "live_capture", jetdrive: { transmit: false } } }, /clocks of DWRT (ATMO|CPU) and DWRT (ATMO|CPU) are not synchronised.*jetdrive\.transmit/));

test("a queue that is not durable", () => banner({ config: { preset: "low_latency" } }, /Not durable.*Set queue\.persist_to_disk to true/));

test("a disk that is nearly full", async (t) => {
  // The program sees a small disk of its own, in a mount namespace.
  const disk = mkdtempSync(join(tmpdir(), "dynotap-disk-"));
  const within = ["unshare", "--mount", ...(process.getuid?.() === 0 ? [] : ["--map-root-user"]), "sh", "-c", 'mount -t tmpfs -o size=64m none "$0" && head -c 60m /dev/zero >"$0/full" && exec "$@"', disk];
  try {
    try {
      execFileSync(within[0], [...within.slice(1), "true"], { stdio: "ignore" });
    } catch (e) {
      // A kernel or container that does not allow mounts: not a thing that a machine can be given.
      t.diagnostic(`unavailable: a small disk cannot be mounted here (${e.message.split("\n")[0]})`);
      return process.env.REQUIRE_ALL ? undefined : t.skip("a small disk cannot be mounted here");
    }
    await banner({ demo: false, within, data: join(disk, "data") }, /disk of .* is \d+ % full, 0\.\d GB are free.*Make room/);
  } finally {
    rmSync(disk, { recursive: true, force: true });
  }
});
