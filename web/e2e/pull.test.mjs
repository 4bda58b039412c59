// The curve of the pull in progress, moment by moment.

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { transformWithEsbuild } from "vite";

const file = join(import.meta.dirname, "../src/lib/pull.ts");
const { code } = await transformWithEsbuild(readFileSync(file, "utf8"), file);
const { Pull } = await import("data:text/javascript," + encodeURIComponent(code));

const rising = () => true;

/** accelerate lets the engine pull from 2000 to 6000 rpm; power says how much it makes. */
function accelerate(pull, power = (rpm) => rpm / 60) {
  for (let rpm = 2000; rpm <= 6000; rpm += 25) pull.take(rpm, power(rpm), 100, rising);
}

test("the curve ends at the highest speed under power: the closing throttle is not drawn", () => {
  const pull = new Pull();
  accelerate(pull);
  for (const [rpm, power] of [[6008, 80], [6012, 40], [6013, 12], [6005, -20]]) pull.take(rpm, power, 50, rising);
  assert.equal(pull.running, false);
  assert.equal(pull.rpm.at(-1), 6000);
  assert.equal(pull.power.at(-1), 100);
  assert.equal(pull.rpm.length, pull.power.length);
  assert.equal(pull.rpm.length, pull.torque.length);
});

test("a loss of power within the pull stays drawn", () => {
  const pull = new Pull();
  accelerate(pull, (rpm) => (rpm > 4000 && rpm < 4300 ? 20 : rpm / 60));
  pull.take(5990, -20, 0, rising);
  assert.equal(pull.running, false);
  assert.ok(pull.power.includes(20));
  assert.equal(pull.rpm.at(-1), 6000);
});

test("power that falls off towards the end, as engines do, stays drawn", () => {
  const pull = new Pull();
  accelerate(pull, (rpm) => (rpm < 5000 ? rpm / 50 : 100 - (rpm - 5000) / 50));
  pull.take(6001, -5, 0, rising);
  assert.equal(pull.rpm.at(-1), 6000);
});

test("nothing begins without load or while the engine does not gain speed, and a new pull begins anew", () => {
  const pull = new Pull();
  pull.take(3000, 4, 10, rising);
  pull.take(3100, 50, 10, () => false);
  assert.equal(pull.running, false);
  accelerate(pull);
  pull.take(5000, -5, 0, rising);
  const drawn = pull.rpm.length;
  pull.take(2500, 30, 60, rising);
  assert.equal(pull.running, true);
  assert.deepEqual(pull.rpm, [2500]);
  assert.ok(drawn > 100);
});
