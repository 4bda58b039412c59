import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { launch, open } from "./browser.mjs";
import { freePort, Program } from "./program.mjs";

const token = "correct-horse-battery";
let program;
let browser;

before(async () => {
  const port = await freePort();
  program = new Program(port, { listen: `0.0.0.0:${port}`, env: { DYNOTAP_SERVER__TOKEN: token } });
  await program.start();
  browser = await launch();
});
after(async () => {
  await browser?.close();
  await program?.end();
});

test("where others can reach it nothing is shown without the token", async () => {
  assert.equal((await fetch(program.url + "api/v1/health")).status, 401);
  assert.equal((await fetch(program.url + "api/v1/live")).status, 401);
  const page = await open(browser, program.url);
  const field = page.getByLabel("Token");
  await field.fill("wrong");
  await page.getByRole("button", { name: "Open" }).click();
  await page.getByText(/This is not the token/).waitFor();
  assert.equal(await page.locator(".gauge").count(), 0);
  await field.fill(token);
  await page.getByRole("button", { name: "Open" }).click();
  await page.locator('.gauge.good[data-name="rpm"]').first().waitFor();
  assert.ok(!page.url().includes(token));
  await program.stop("SIGKILL"); // the cookie ends with the program, the tab knows the token
  await page.getByText(/No connection to dynotap/).waitFor();
  await program.start();
  await page.locator('.gauge.good[data-name="rpm"]').first().waitFor();
  assert.deepEqual(page.faults, []);
});
