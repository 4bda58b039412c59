// The page of a run: up to six laid over each other, and what a printer gets.

import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { launch, open, sizes } from "./browser.mjs";
import { freePort, Program, until } from "./program.mjs";

const quiet = { preset: "live_capture", data_sources: { jetdrive: { enabled: false }, innovate: { enabled: false } } };
const count = 7;
let program;
let browser;

before(async () => {
  program = new Program(await freePort(), { demo: false, config: quiet });
  await program.start();
  browser = await launch();
  for (let n = 1; n <= count; n++) {
    const lines = ["Time (s),Engine RPM (rpm),Power (hp)"];
    for (let i = 0; i <= 120; i++) lines.push(`${(i * 0.05).toFixed(2)},${2000 + i * 33},${(30 + n * 4 + i / 2).toFixed(1)}`);
    const answer = await fetch(`${program.url}api/v1/runs?name=tune-${n}.csv`, { method: "POST", body: lines.join("\n") + "\n", headers: { "Content-Type": "application/octet-stream" } });
    assert.ok(answer.ok, await answer.text());
  }
});
after(async () => {
  await browser?.close();
  await program?.end();
});

test("up to six runs are chosen in the list and laid over each other on one sheet", async () => {
  const page = await open(browser, program.url + "#/runs");
  const boxes = page.getByRole("checkbox");
  await until("all are listed", async () => (await boxes.count()) >= count);
  for (let i = 0; i < 6; i++) await boxes.nth(i).check();
  assert.ok(await boxes.nth(6).isDisabled(), "a seventh cannot be chosen");
  await page.getByRole("link", { name: "Compare 6 runs" }).click();
  const sheet = page.locator("img.sheet");
  await until("the sheet is drawn", () => sheet.evaluate((i) => i.complete && i.naturalWidth > 0));
  const address = await sheet.getAttribute("src");
  const names = await page.locator(".paper button", { hasText: "✕" }).allTextContents();
  assert.equal(names.length, 5);
  const drawn = await (await fetch(new URL(address, program.url))).text();
  for (const name of names) assert.ok(drawn.includes(name.split(" ✕")[0]), `${name} is on the sheet`);
  assert.ok(await page.getByLabel("Lay over it").isDisabled(), "a seventh cannot be laid over it");
  await page.locator(".paper button", { hasText: "✕" }).first().click();
  await until("one is gone", async () => (await sheet.getAttribute("src")) !== address);
  assert.ok(await page.getByLabel("Lay over it").isEnabled());
  assert.deepEqual(page.faults, []);
  await page.context().close();
});

test("what is laid over a run keeps its name, and stays after the page is loaded again", async () => {
  // Older than all that are offered.
  const runs = (await program.get("runs?limit=1000&kind=import")).runs;
  const [first, last] = [runs[0], runs.at(-1)];
  const page = await open(browser, program.url + "#/live");
  await page.route(/runs\?limit=\d+$/, async (route) => {
    const answer = await route.fetch();
    const all = await answer.json();
    await route.fulfill({ json: { ...all, runs: all.runs.filter((r) => r.id !== last.id) } });
  });
  await page.evaluate((hash) => (location.hash = hash), `#/runs/${first.id}/${last.id},gone`);
  const over = page.locator(".paper button", { hasText: "✕" });
  await over.getByText(last.name).waitFor();
  assert.equal(await over.count(), 1, "what is deleted is left out");
  await page.getByLabel("Lay over it").selectOption(runs[1].id);
  await over.getByText(runs[1].name).waitFor();
  await page.reload();
  await over.getByText(runs[1].name).waitFor();
  assert.equal(await over.count(), 2);
  await page.context().close();
});

test("a run that is deleted is compared no more", async () => {
  const page = await open(browser, program.url + "#/runs");
  for (const name of ["tune-1", "tune-2", "tune-3"]) await page.getByRole("checkbox", { name: new RegExp(name) }).first().check();
  await page.locator("tr", { hasText: "tune-2" }).first().getByRole("button", { name: /Delete/ }).click();
  await page.getByRole("link", { name: "Compare 2 runs" }).waitFor();
  await page.getByRole("button", { name: "Undo" }).click();
  await page.context().close();
});

test("a file with neither power nor torque shows its channels, and no sheet to print", async () => {
  const wide = Array.from({ length: 6 }, (_, i) => `A very long name that a logger has given to its channel ${i} (V)`);
  const lines = [["Time (s)", ...wide].join(","), ...Array.from({ length: 100 }, (_, i) => [i / 10, ...wide.map((_, n) => n + i / 100)].join(","))];
  const answer = await fetch(`${program.url}api/v1/runs?name=volts.csv`, { method: "POST", body: lines.join("\n") + "\n", headers: { "Content-Type": "application/octet-stream" } });
  assert.ok(answer.ok, await answer.text());
  const page = await open(browser, program.url + "#/runs", { viewport: sizes.phone, hasTouch: true, isMobile: true });
  await page.locator("tr", { hasText: "volts" }).getByText(/^imported \d{4}-\d\d-\d\d/).waitFor();
  await page.getByRole("link", { name: "volts" }).click();
  await page.getByText(/^volts cannot be drawn/).waitFor();
  assert.equal(await page.getByRole("button", { name: "Print" }).count(), 0);
  await page.locator(".u-legend").waitFor();
  for (let n = 2; n < 6; n++) await page.getByLabel("Add a channel").selectOption({ index: 1 });
  await until("six are drawn", async () => (await page.locator(".u-legend .u-series").count()) === 7);
  const over = await page.evaluate(() => document.documentElement.scrollWidth - innerWidth);
  assert.ok(over <= 0, `${over} px wider than the screen`);
  assert.equal(await page.evaluate(() => innerWidth), sizes.phone.width, "nothing zooms the page out");
  await page.context().close();
});

test("what is printed is the sheet on white paper, without controls", async () => {
  const page = await open(browser, program.url + "#/runs", { colorScheme: "dark" });
  await page.getByRole("link", { name: /tune-1/ }).first().click();
  await until("the sheet is drawn", () => page.locator("img.sheet").evaluate((i) => i.complete && i.naturalWidth > 0));
  await page.locator(".u-legend").waitFor();
  const background = (s) => page.locator(s).first().evaluate((e) => getComputedStyle(e).backgroundColor);
  assert.equal(await background("img.sheet"), "rgb(255, 255, 255)");
  await page.emulateMedia({ media: "print" });
  for (const s of ["body", ".paper", "img.sheet"]) assert.equal(await background(s), "rgb(255, 255, 255)", s);
  for (const control of await page.getByRole("button").all()) assert.ok(!(await control.isVisible()), await control.textContent());
  assert.ok(!(await page.locator("header").isVisible()));
  assert.ok(await page.locator("img.sheet").isVisible());
  assert.ok((await page.pdf({ format: "A4", landscape: true })).length > 10_000);
  await page.emulateMedia({ media: "screen" });
  await until("it is dark again", async () => (await background(".paper")) !== "rgb(255, 255, 255)");
  assert.deepEqual(page.faults, []);
  await page.context().close();
});

test("two fingers and the buttons zoom the channels, one finger reads them", async () => {
  const page = await open(browser, program.url + "#/runs", { viewport: sizes.phone, hasTouch: true, isMobile: true });
  await page.getByRole("link", { name: /tune-1/ }).first().click();
  const shown = () => page.locator("[data-shown]").textContent();
  const span = async () => (await shown()).match(/[\d.]+/g).map(Number);
  await page.getByText("0.00 to 6.00 s").waitFor();
  const over = page.locator(".u-over");
  await over.scrollIntoViewIfNeeded();
  const box = await over.boundingBox();
  const touch = await page.context().newCDPSession(page);
  const at = (...shares) => shares.map((share, id) => ({ x: box.x + share * box.width, y: box.y + box.height / 2, id }));
  const put = (type, ...shares) => touch.send("Input.dispatchTouchEvent", { type, touchPoints: at(...shares) });

  await put("touchStart", 0.25);
  await put("touchMove", 0.5);
  await until("the cursor is read", async () => /^s:?3\.00/.test(await page.locator(".u-legend").innerText()));
  await put("touchEnd");
  await put("touchStart", 0.4, 0.6);
  await put("touchMove", 0.3, 0.7);
  await put("touchMove", 0.2, 0.8);
  await put("touchEnd");
  const [from, to] = await span();
  assert.ok(Math.abs(from - 2) < 0.1 && Math.abs(to - 4) < 0.1, await shown());

  await page.getByRole("button", { name: "Zoom out" }).click();
  await until("it shows more", async () => (await span())[1] > to);
  await page.getByRole("button", { name: "All", exact: true }).click();
  await page.getByText("0.00 to 6.00 s").waitFor();
  await page.getByRole("button", { name: "Zoom in" }).click();
  const near = await span();
  await page.getByRole("button", { name: "Show what is after" }).click();
  await until("it shows what is after", async () => (await span())[0] > near[0]);
  await page.getByRole("slider", { name: "Cursor" }).press("End");
  await until("the cursor is at the end", async () => Math.abs(Number((await page.locator(".u-legend").innerText()).match(/^s:?([\d.]+)/)?.[1]) - (await span())[1]) < 0.1);
  assert.deepEqual(page.faults, []);
  await page.context().close();
});
