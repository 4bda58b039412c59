// A chart under fingers: one moves the cursor, two zoom and shift it. uPlot
// itself knows the mouse only.

import type uPlot from "uplot";
import { pinched, type Span } from "./zoom";

export function fingers(whole: () => Span): uPlot.Plugin {
  const down = new Map<number, { x: number; y: number; value: number }>();

  function follow(u: uPlot, e: PointerEvent): void {
    const box = u.over.getBoundingClientRect();
    const [x, y] = [e.clientX - box.left, e.clientY - box.top];
    const finger = down.get(e.pointerId);
    if (finger) [finger.x, finger.y] = [x, y];
    const [a, b] = down.values();
    if (a && b) {
      const span = pinched([a.value, b.value], [a.x, b.x], box.width, whole());
      if (span) u.setScale("x", { min: span[0], max: span[1] });
    } else if (a) {
      u.setCursor({ left: x, top: y });
    }
  }

  function ready(u: uPlot): void {
    u.over.style.touchAction = "pan-y"; // the page is still scrolled over it
    const touch = (does: (e: PointerEvent) => void) => (e: PointerEvent) => {
      if (e.pointerType === "touch") does(e);
    };
    u.over.addEventListener("pointerdown", touch((e) => {
      if (down.size === 2) return;
      down.set(e.pointerId, { x: 0, y: 0, value: 0 });
      const box = u.over.getBoundingClientRect();
      down.get(e.pointerId)!.x = e.clientX - box.left;
      for (const finger of down.values()) finger.value = u.posToVal(finger.x, "x");
      follow(u, e);
    }));
    u.over.addEventListener("pointermove", touch((e) => follow(u, e)));
    for (const end of ["pointerup", "pointercancel"] as const) u.over.addEventListener(end, touch((e) => down.delete(e.pointerId)));
  }
  return { hooks: { ready } };
}
