// The page Live on the cell's screen: it fills it, is read from two metres,
// and shows what is outside its range.

import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { launch, open, sizes } from "./browser.mjs";
import { freePort, Program, until } from "./program.mjs";

let program;
let browser;

before(async () => {
  // Of the demo's engine, which turns with 2000 to 6000.
  program = new Program(await freePort(), { config: { preset: "live_capture", sensor_ranges: { rpm: { warn_max: 5000, max: 5600 } } } });
  await program.start();
  browser = await launch();
});
after(async () => {
  await browser?.close();
  await program?.end();
});

test("a value outside its range says so in colour and in words, and its bar shows where it lies", async () => {
  const page = await open(browser, program.url);
  const rpm = (state) => page.locator(`.gauge.${state}[data-name="rpm"]`).first();
  const mark = () => page.locator('.gauge[data-name="rpm"] .mark').first().evaluate((m) => Number(m.getAttribute("x")));
  const zone = (name) => page.locator(`.gauge[data-name="rpm"] .zone-${name}`).first().evaluate((m) => Number(m.getAttribute("x")) + Number(m.getAttribute("width")));
  await rpm("good").waitFor();
  assert.equal(await rpm("good").locator(".note strong").count(), 0);
  assert.ok((await mark()) < (await zone("good")));
  await rpm("suspect").getByText("⚠ high").waitFor({ timeout: 40_000 }); // the demo pulls every 20 s
  await rpm("bad").getByText("⚠ too high").waitFor();
  assert.ok((await mark()) > (await zone("warn")) - 1);
  await rpm("good").waitFor();
  assert.equal(await page.getByRole("img", { name: "good from 500 to 5000" }).count() > 0, true);
  assert.deepEqual(page.faults, []);
  await page.context().close();
});

for (const few of [false, true]) {
  test(`it fills a screen of 1920 x 1080 with ${few ? "four gauges, read from two metres" : "the usual gauges"}`, async (t) => {
    const page = await open(browser, program.url);
    await page.locator('.gauge.good[data-name="rpm"]').first().waitFor();
    if (few) {
      await page.evaluate(() => {
        const gauges = [...document.querySelectorAll(".gauge")].slice(0, 4).map((g) => g.dataset.channel);
        localStorage.setItem("dynotap.prefs", JSON.stringify({ gauges }));
      });
      await page.reload();
      await page.locator('.gauge.good[data-name="rpm"]').first().waitFor();
    }
    const look = () =>
      page.evaluate(() => {
        const box = (s) => document.querySelector(s).getBoundingClientRect();
        const heights = [...document.querySelectorAll(".gauge .value")].map((v) => {
          const ink = document.createElement("canvas").getContext("2d");
          ink.font = `650 ${getComputedStyle(v).fontSize} ${getComputedStyle(v).fontFamily}`;
          return ink.measureText("8").actualBoundingBoxAscent;
        });
        const cut = [...document.querySelectorAll(".gauge .value")].filter((v) => v.scrollWidth > v.clientWidth + 1).map((v) => v.textContent);
        return { page: document.documentElement.scrollHeight, foot: box(".foot").bottom, charts: box(".charts").height, plot: box(".pull canvas").height, heights, cut };
      });
    await until("the charts are drawn", async () => (await look()).plot > 300);
    const seen = await look();
    t.diagnostic(`figures ${seen.heights.map((h) => h.toFixed(0)).join(", ")} px high, charts ${seen.charts.toFixed(0)} px`);
    assert.ok(seen.page <= 1080, `${seen.page} px high`);
    assert.ok(seen.foot > 1050, `ends at ${seen.foot} px`);
    assert.deepEqual(seen.cut, []);
    if (few) assert.ok(seen.heights.every((h) => h >= 90), "90 px at least");
    assert.deepEqual(page.faults, []);
    await page.context().close();
  });
}

test("on a tablet gauges, pull and charts are seen at once, while it records too", async () => {
  const page = await open(browser, program.url, { viewport: sizes.tablet, hasTouch: true, isMobile: true });
  await page.locator('.gauge.good[data-name="rpm"]').first().waitFor();
  const heights = () => page.evaluate(() => ({ header: document.querySelector("header").offsetHeight, page: document.documentElement.scrollHeight, pull: document.querySelector(".pull").getBoundingClientRect().bottom }));
  const before = await heights();
  assert.ok(before.page <= sizes.tablet.height && before.pull <= sizes.tablet.height, JSON.stringify(before));
  await page.getByRole("button", { name: "Record", exact: true }).click();
  const stop = page.getByRole("button", { name: /^Stop recording/ });
  await stop.waitFor();
  assert.deepEqual(await heights(), before, "nothing moves");
  await stop.click();
  await page.getByRole("button", { name: "Record", exact: true }).waitFor();
  assert.deepEqual(page.faults, []);
  await page.context().close();
});

test("many charts are whole and in nobody's way; one without values says so", async () => {
  const page = await open(browser, program.url);
  await page.locator('.gauge.good[data-name="rpm"]').first().waitFor();
  await page.evaluate(() => {
    const strips = [...document.querySelectorAll(".gauge")].slice(0, 8).map((g) => g.dataset.channel);
    localStorage.setItem("dynotap.prefs", JSON.stringify({ strips: [...strips, "jetdrive/gone"] }));
  });
  await page.reload();
  await until("nine charts", async () => (await page.locator(".strips canvas").count()) === 9);
  const cut = await page.evaluate(() => {
    const foot = document.querySelector(".foot").getBoundingClientRect().top;
    const bad = (f) => f.getBoundingClientRect().bottom > foot || f.querySelector("canvas").getBoundingClientRect().bottom > f.getBoundingClientRect().bottom;
    return [...document.querySelectorAll(".strips figure")].filter(bad).map((f) => f.textContent);
  });
  assert.deepEqual(cut, []);
  await page.locator(".strips figure", { hasText: "jetdrive/gone" }).getByText("no value in the last 30 s").waitFor();
  await page.context().close();
});
