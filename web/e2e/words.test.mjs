// Numbers, times and names as people read them.

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { transformWithEsbuild } from "vite";

async function load(name) {
  const file = join(import.meta.dirname, "../src/lib", name);
  const { code } = await transformWithEsbuild(readFileSync(file, "utf8"), file);
  return import("data:text/javascript," + encodeURIComponent(code));
}
const { channelName, clock, stopwatch } = await load("words.ts");
const { text } = await load("units.ts");

test("a channel is named as people write it, or as its device does", () => {
  for (const [name, label, wanted] of [
    ["horsepower", "Power", "power"],
    ["rpm", "Engine RPM", "engine speed"],
    ["afr_front", "WBO2 Front", "AFR front"],
    ["map", "MAP", "MAP"],
    ["ve_rear", "VE Rear", "VE rear"],
    ["oil_temp", "Oil", "oil temp"],
    ["", "wideband_1_status", "wideband 1 status"],
  ]) assert.equal(channelName({ name, label }), wanted);
});

test("the first hour of a day is 00", () => {
  assert.equal(clock(new Date(2026, 10, 24, 0, 5, 9).getTime()), "00:05:09");
  assert.equal(clock(null), "–");
});

test("a stopwatch does not change its width with each second", () => {
  assert.deepEqual([0, 9.96, 10, 75, 3605, -3].map(stopwatch), ["0:00", "0:09", "0:10", "1:15", "1:00:05", "0:00"]);
});

test("what rounds to nothing has no sign", () => {
  for (const [value, unit, wanted] of [[-0.04, "A", "0.0"], [-0.0004, "g", "0.000"], [-0.4, "rpm", "0"], [-0.06, "A", "-0.1"], [-26, "hp", "-26.0"], [null, "A", "–"]]) {
    assert.equal(text(value, unit), wanted);
  }
});

test("a cursor between the samples of a slow channel reads the next one, and none beyond its ends", async () => {
  const { nearest } = await load("join.ts");
  const axis = [0, 1, 2, 3, 4, 5, 6];
  const column = [null, 10, null, null, 40, undefined, null];
  assert.deepEqual(axis.map((i) => nearest(axis, column, i)), [null, 1, 1, 4, 4, null, null]);
});
