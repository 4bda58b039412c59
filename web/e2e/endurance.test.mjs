// What the dashboard costs while it shows the demo's channels at 20 Hz, by the
// browser's own figures. Times are printed, not judged; memory must not grow.

import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { launch, open } from "./browser.mjs";
import { freePort, Program } from "./program.mjs";

const seconds = Number(process.env.DYNOTAP_WEB_SOAK ?? 60);
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

test(`memory does not grow in ${seconds} s`, { timeout: (seconds + 120) * 1000 }, async (t) => {
  const page = await open(browser, program.url);
  await page.locator('.gauge.good[data-name="rpm"]').first().waitFor();
  const paint = await page.evaluate(() => performance.getEntriesByName("first-contentful-paint")[0]?.startTime);
  const cdp = await page.context().newCDPSession(page);
  await cdp.send("Performance.enable", { timeDomain: "timeTicks" });
  const look = async () => {
    await cdp.send("HeapProfiler.collectGarbage");
    const { metrics } = await cdp.send("Performance.getMetrics");
    return Object.fromEntries(metrics.map((m) => [m.name, m.value]));
  };
  await page.waitForTimeout((seconds * 1000) / 3); // caches and charts settle
  const first = await look();
  await page.waitForTimeout((seconds * 2000) / 3);
  const last = await look();
  const busy = (100 * (last.TaskDuration - first.TaskDuration)) / (last.Timestamp - first.Timestamp);
  t.diagnostic(`first contentful paint ${paint?.toFixed(0)} ms; main thread busy ${busy.toFixed(1)} % of one core; heap ${(first.JSHeapUsedSize / 1e6).toFixed(1)} -> ${(last.JSHeapUsedSize / 1e6).toFixed(1)} MB; DOM nodes ${first.Nodes} -> ${last.Nodes}`);
  assert.ok(last.JSHeapUsedSize < first.JSHeapUsedSize * 1.3 + 1e6, `heap ${first.JSHeapUsedSize} -> ${last.JSHeapUsedSize}`);
  assert.ok(last.Nodes < first.Nodes * 1.3 + 100, `DOM nodes ${first.Nodes} -> ${last.Nodes}`);
  assert.deepEqual(page.faults, []);
});
