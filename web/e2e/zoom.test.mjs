// Which part of an axis buttons and fingers show.

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { transformWithEsbuild } from "vite";

const file = join(import.meta.dirname, "../src/lib/zoom.ts");
const { code } = await transformWithEsbuild(readFileSync(file, "utf8"), file);
const { moved, pinched, zoomed } = await import("data:text/javascript," + encodeURIComponent(code));

const whole = [0, 10];

test("zoom keeps what is at the middle, and stays within the whole", () => {
  assert.deepEqual(zoomed([0, 10], 0.5, 4, whole), [2, 7]);
  assert.deepEqual(zoomed([2, 7], 2, 4, whole), [0, 10]);
  assert.deepEqual(zoomed([8, 10], 2, 9, whole), [6, 10]);
  const [from, to] = zoomed([5, 5.001], 1e-9, 5, whole);
  assert.ok(to - from >= 0.009, "there is always something to see");
});

test("a shift keeps the length at both ends", () => {
  assert.deepEqual(moved([2, 4], 0.5, whole), [3, 5]);
  assert.deepEqual(moved([8, 10], 0.5, whole), [8, 10]);
  assert.deepEqual(moved([1, 3], -1, whole), [0, 2]);
});

test("two values stay under two fingers", () => {
  assert.deepEqual(pinched([4, 6], [100, 300], 400, whole), [3, 7]);
  assert.deepEqual(pinched([4, 6], [300, 100], 400, whole), null, "fingers that have changed sides");
  assert.deepEqual(pinched([4, 6], [200, 204], 400, whole), null, "fingers on each other");
});
