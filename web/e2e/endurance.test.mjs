// What the dashboard costs while 120 channels come at 20 Hz, from two simulated
// dynos, by the browser's own figures. Times are printed, not judged; memory
// must not grow.

import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { launch, open } from "./browser.mjs";
import { freeNetwork, freePort, Process, Program, until } from "./program.mjs";

const seconds = Number(process.env.DYNOTAP_TEST_WEB_SOAK ?? 60);
let program;
let dynos;
let browser;

before(async () => {
  const network = await freeNetwork();
  program = new Program(await freePort(), { demo: false, args: network });
  await program.start();
  dynos = ["1", "2"].map((seed) => new Process(["simulate", "jetdrive", "--rate", "20", "--seed", seed, ...network]));
  browser = await launch();
});
after(async () => {
  await browser?.close();
  for (const dyno of dynos ?? []) await dyno.stop("SIGKILL");
  await program?.end();
});

test(`memory does not grow in ${seconds} s`, { timeout: (seconds + 120) * 1000 }, async (t) => {
  const page = await open(browser, program.url);
  await page.locator('.gauge.good[data-name="rpm"]').first().waitFor();
  const jetdrive = async () => (await program.get("sources")).sources.find((s) => s.name === "jetdrive");
  await until("120 channels", async () => (await jetdrive()).health.channel_counts.healthy >= 120);
  const paint = await page.evaluate(() => performance.getEntriesByName("first-contentful-paint")[0]?.startTime);
  const cdp = await page.context().newCDPSession(page);
  const whole = await browser.newBrowserCDPSession();
  await cdp.send("Performance.enable", { timeDomain: "timeTicks" });
  const look = async () => {
    await cdp.send("HeapProfiler.collectGarbage");
    const { metrics } = await cdp.send("Performance.getMetrics");
    const { processInfo } = await whole.send("SystemInfo.getProcessInfo");
    return { cpu: processInfo.reduce((sum, p) => sum + p.cpuTime, 0), ...Object.fromEntries(metrics.map((m) => [m.name, m.value])) };
  };
  await page.waitForTimeout((seconds * 1000) / 3); // caches and charts settle
  const first = await look();
  await page.waitForTimeout((seconds * 2000) / 3);
  const last = await look();
  const { stats, health } = await jetdrive();
  const share = (name) => ((100 * (last[name] - first[name])) / (last.Timestamp - first.Timestamp)).toFixed(1);
  t.diagnostic(`${health.channel_counts.healthy} channels, ${stats.samples_per_second.toFixed(0)} samples a second; first contentful paint ${paint?.toFixed(0)} ms; main thread busy ${share("TaskDuration")} % of one core, all of the browser with drawing ${share("cpu")} %; heap ${(first.JSHeapUsedSize / 1e6).toFixed(1)} -> ${(last.JSHeapUsedSize / 1e6).toFixed(1)} MB; DOM nodes ${first.Nodes} -> ${last.Nodes}`);
  assert.ok(last.JSHeapUsedSize < first.JSHeapUsedSize * 1.3 + 1e6, `heap ${first.JSHeapUsedSize} -> ${last.JSHeapUsedSize}`);
  assert.ok(last.Nodes < first.Nodes * 1.3 + 100, `DOM nodes ${first.Nodes} -> ${last.Nodes}`);
  assert.deepEqual(page.faults, []);
});
