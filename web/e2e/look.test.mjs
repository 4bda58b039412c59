// Every page in every look: screenshots into e2e/out, nothing wider than the
// screen, and no serious finding of axe.

import assert from "node:assert/strict";
import { mkdirSync, readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { launch, open, sizes } from "./browser.mjs";
import { drop, log } from "./files.mjs";
import { freePort, Program, until } from "./program.mjs";

const axe = readFileSync(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8");
const out = join(import.meta.dirname, "out");
const pages = ["runs", "run", "import", "sources", "queue", "settings", "live"];
let program;
let browser;
let run;
let page; // one for all, so that its charts have something to show

before(async () => {
  mkdirSync(out, { recursive: true });
  program = new Program(await freePort());
  await program.start();
  browser = await launch();
  page = await open(browser, program.url, { bypassCSP: true });
  run = await until("a pull", async () => (await program.get("runs?kind=pull")).runs?.[0], 40_000);
});
after(async () => {
  await browser?.close();
  await program?.end();
});

async function ready(name) {
  await page.locator("[data-connected=true]").waitFor();
  await page.locator("h1").first().waitFor();
  if (name === "live") await page.locator("figcaption .top").filter({ hasText: /\d\d\.\d/ }).waitFor({ timeout: 40_000 });
  if (name === "runs") await page.locator('tr[data-kind="pull"] path[d^="M"]').first().waitFor();
  if (name === "import") {
    await drop(page, { "third gear.csv": log(0.5), "damaged.csv": log(0.4, 99), "photo.jpg": "\0\x01\x02 no log at all" });
    await page.locator('[data-state="failed"]').first().waitFor();
    await page.locator('[data-state="done"]').nth(1).waitFor();
  }
  if (name === "sources") await page.locator("[data-source] table").first().waitFor({ state: "attached" });
  if (name === "queue") await page.locator("canvas").waitFor();
  if (name === "settings") await page.locator("details summary").first().waitFor();
  if (name !== "run") return;
  await page.locator(".u-legend").waitFor();
  await until("the sheet", () => page.locator("img.sheet").evaluate((i) => i.complete && i.naturalWidth > 0));
}

for (const [size, viewport] of Object.entries(sizes)) {
  for (const colorScheme of ["dark", "light"]) {
    test(`${size}, ${colorScheme}: fits, and axe finds nothing serious`, async () => {
      await page.setViewportSize(viewport);
      await page.emulateMedia({ colorScheme });
      for (const name of pages) {
        await page.evaluate((hash) => (location.hash = hash), "#/" + (name === "run" ? "runs/" + run.id : name));
        await ready(name);
        await page.screenshot({ path: join(out, `${name}-${size}-${colorScheme}.jpg`), type: "jpeg", quality: 70, fullPage: name === "run" || (size === "phone" && name !== "settings") });
        const wide = await page.evaluate(() => document.documentElement.scrollWidth - innerWidth);
        assert.ok(wide <= 0, `${name} is ${wide} px wider than the screen`);
        const spilt = await page.evaluate(() => [...document.querySelectorAll(".card")].filter((c) => c.scrollWidth > c.clientWidth).map((c) => c.textContent.slice(0, 40)));
        assert.deepEqual(spilt, [], `${name} spills out of its cards`);
        const small = await page.evaluate(() => [...document.querySelectorAll('button, .button, nav a, select, summary, input:not([type="checkbox"], [type="range"])')].filter((e) => e.checkVisibility() && e.getBoundingClientRect().height < 40).map((e) => e.outerHTML.slice(0, 60)));
        assert.deepEqual(small, [], `${name} has something too small to touch`);
        await page.evaluate(axe);
        const { violations } = await page.evaluate(() => globalThis.axe.run(document, { runOnly: ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "best-practice"] }));
        const serious = violations.filter((v) => ["serious", "critical"].includes(v.impact));
        assert.deepEqual(serious.map((v) => `${name}: ${v.id}: ${v.nodes.map((n) => n.html + " " + n.any[0]?.message).join(" | ")}`), []);
      }
      assert.deepEqual(page.faults, []);
    });
  }
}
