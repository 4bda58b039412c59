// Dead letters come from a damaged directory in life; here the API's answers
// are the test's, and what the page asks of it is looked at.

import assert from "node:assert/strict";
import { after, before, test } from "node:test";
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

const letter = (id) => ({
  id, source: "jetdrive", priority: "high", samples: 2, bytes: 60, attempts: 4, reason: "unknown_channel_set",
  first_error: "no such channel set", last_error: "no such channel set", enqueued_at: "2026-11-02T10:00:00Z", died_at: "2026-11-02T10:00:05Z",
});
const sample = { time: "2026-11-02T10:00:00Z", channel: "CPU/6/0", provider: "DWRT CPU", label: "Power", name: "horsepower", value: 85.02, unit: "hp", native_value: 63.4, native_unit: "kW", quality: "good" };

/** letters answers for the program, and notes what is asked of it. */
async function letters(page, ids) {
  const asked = [];
  await page.route(/\/api\/v1\/dead-letters/, async (route) => {
    const request = route.request();
    const { pathname, searchParams } = new URL(request.url());
    const [, id, retry] = /dead-letters(?:\/([^/]+))?(\/retry)?$/.exec(pathname) ?? [];
    if (request.method() !== "GET") {
      asked.push(`${request.method()} ${pathname}`);
      if (!id || id === "retry") {
        if (request.method() === "DELETE") assert.ok(Date.parse(searchParams.get("died_by")), "clears only what was there when asked");
        return route.fulfill({ json: { count: ids.splice(0).length } });
      }
      ids.splice(ids.indexOf(id), 1);
      return route.fulfill({ status: 204 });
    }
    if (id && !retry) return route.fulfill({ json: { ...letter(id), contents: { total: 2, samples: [sample] } } });
    return route.fulfill({ json: { dead_letters: ids.map(letter), total: ids.length, counts: [], complete: true } });
  });
  return asked;
}

test("a dead letter is shown, retried, deleted, and the rest cleared after a question", async () => {
  const page = await open(browser, program.url);
  const asked = await letters(page, ["1", "2", "3", "4"]);
  await page.getByRole("link", { name: "Queue" }).click();
  const first = page.locator('[data-letter="1"]');
  await first.getByRole("button", { name: "Show samples" }).click();
  await first.getByText("85.02 hp").waitFor();
  await first.getByText("63.4 kW").waitFor();
  await first.getByRole("button", { name: "Retry" }).click();
  await first.waitFor({ state: "detached" });
  await page.locator('[data-letter="2"]').getByRole("button", { name: "Delete" }).click();
  await page.locator('[data-letter="2"]').waitFor({ state: "detached" });
  await page.getByRole("button", { name: "Clear" }).click();
  await page.getByRole("button", { name: "Keep them" }).click();
  assert.equal(await page.locator("[data-letter]").count(), 2);
  await page.getByRole("button", { name: "Clear" }).click();
  await page.getByRole("button", { name: "Delete all" }).click();
  await until("nothing is left", async () => (await page.locator("[data-letter]").count()) === 0);
  assert.deepEqual(asked, ["POST /api/v1/dead-letters/1/retry", "DELETE /api/v1/dead-letters/2", "DELETE /api/v1/dead-letters"]);
  assert.deepEqual(page.faults, []);
});
