// Everything by keyboard: each control of each page is reached with Tab, in
// view and visibly in focus; the pages open with Enter.

import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { launch, open } from "./browser.mjs";
import { freePort, Program, until } from "./program.mjs";

let program;
let browser;
let run;

before(async () => {
  program = new Program(await freePort());
  await program.start();
  browser = await launch();
  const name = encodeURIComponent("keyboard.csv");
  const lines = ["Time (s),Engine RPM (rpm),Power (hp)", ...Array.from({ length: 200 }, (_, i) => `${i * 0.05},${2000 + i * 20},${i / 2}`)];
  const answer = await fetch(`${program.url}api/v1/runs?name=${name}`, { method: "POST", body: lines.join("\n") + "\n", headers: { "Content-Type": "application/octet-stream" } });
  assert.ok(answer.ok, await answer.text());
  run = (await program.get("runs?kind=import")).runs[0];
});
after(async () => {
  await browser?.close();
  await program?.end();
});

/** controls are what the keyboard must reach, as the page stands now. */
function controls() {
  const seen = (e) => e.checkVisibility({ visibilityProperty: true }) && !e.closest("details:not([open]) > :not(summary)");
  const all = [...document.querySelectorAll("a[href], button:not(:disabled), select:not(:disabled), input:not(:disabled), textarea:not(:disabled), summary, [tabindex='0']")].filter(seen);
  all.forEach((e, i) => (e.dataset.control ??= `${i}`));
  return all.map((e) => ({ id: e.dataset.control, text: `${e.tagName} ${(e.getAttribute("aria-label") ?? e.textContent).trim().slice(0, 40)}` }));
}

/** focused says of the element in focus which control it is and what is wrong with how it shows. */
function focused() {
  const e = document.activeElement;
  if (e === document.body) return null;
  const s = getComputedStyle(e);
  const box = e.getBoundingClientRect();
  const wrong = [];
  if (s.outlineStyle === "none" || parseFloat(s.outlineWidth) < 2) wrong.push("no outline");
  if (box.bottom < 0 || box.top > innerHeight || box.right < 0 || box.left > innerWidth) wrong.push("out of view");
  const header = document.querySelector("header").getBoundingClientRect();
  if (!e.closest("header, .skip") && box.height < innerHeight / 2 && box.top < header.bottom - 1) wrong.push("under the header");
  return { id: e.dataset.control, wrong: wrong.length ? `${e.outerHTML.slice(0, 80)}: ${wrong.join(", ")}` : "" };
}

/** walk presses a key until every control was in focus, and gives those that never were. */
async function walk(page, key) {
  const wanted = new Map((await page.evaluate(controls)).map((c) => [c.id, c.text]));
  const wrong = new Set();
  for (let i = wanted.size * 1.5 + 10; i > 0 && wanted.size > 0; i--) {
    await page.keyboard.press(key);
    const at = await page.evaluate(focused);
    if (!at) continue;
    wanted.delete(at.id);
    if (at.wrong) wrong.add(at.wrong);
  }
  return [...[...wanted.values()].map((text) => text + ": not reached"), ...wrong];
}

const titles = ["Live", "Runs", "Import", "Sources", "Queue", "Settings"];

for (const title of [...titles, "a run"]) {
  test(`${title}: Tab reaches everything, forwards and back`, async () => {
    // Small, so that the header can be in the way.
    const page = await open(browser, program.url + "#/" + (title === "a run" ? `runs/${run.id}` : title.toLowerCase()), { viewport: { width: 500, height: 700 } });
    await page.locator("[data-connected=true]").waitFor();
    if (title === "Live") {
      await page.locator('.gauge.good[data-name="rpm"]').first().waitFor();
      await page.getByRole("button", { name: "Arrange gauges and charts" }).click();
    }
    if (title === "Settings") await page.locator("details summary").first().waitFor();
    if (title === "Sources") await page.locator("[data-source]").first().waitFor();
    if (title === "a run") await page.locator(".u-legend").waitFor();
    for (const key of ["Tab", "Shift+Tab"]) assert.deepEqual(await walk(page, key), [], key);
    assert.deepEqual(page.faults, []);
    await page.context().close();
  });
}

test("the pages open with Enter, and the skip link leads into the page", async () => {
  const page = await open(browser, program.url);
  await page.locator("[data-connected=true]").waitFor();
  await page.keyboard.press("Tab");
  await page.keyboard.press("Enter");
  await until("the focus is in the page", () => page.evaluate(() => document.activeElement.tagName === "MAIN"));
  for (const title of titles.toReversed()) {
    await until(`the focus is on ${title}`, async () => {
      await page.keyboard.press("Shift+Tab");
      return page.evaluate((t) => document.activeElement.textContent === t && !!document.activeElement.closest("nav"), title);
    });
    await page.keyboard.press("Enter");
    await page.locator("nav [aria-current=page]").getByText(title, { exact: true }).waitFor();
  }
  assert.deepEqual(page.faults, []);
});

test("the arrows and Enter arrange the gauges", async () => {
  const page = await open(browser, program.url);
  await page.locator('.gauge.good[data-name="rpm"]').first().waitFor();
  const order = () => page.locator(".gauge").evaluateAll((all) => all.map((g) => g.querySelector(".label").textContent));
  const [first, second] = await order();
  await page.getByRole("button", { name: "Arrange gauges and charts" }).press("Enter");
  const back = page.getByRole("button", { name: new RegExp(`^Move ${first} .* back$`) }).first();
  await back.press("Enter");
  await until("they have changed places", async () => (await order())[0] === second);
  assert.deepEqual((await order()).slice(0, 2), [second, first]);
  assert.ok(await page.evaluate(() => document.activeElement.closest("li")), "the focus stays in the list");
  assert.deepEqual(page.faults, []);
});
