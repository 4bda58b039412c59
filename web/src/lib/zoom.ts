// Which part of a chart's axis is shown: by buttons, and by two fingers.

export type Span = [from: number, to: number];

/** The smallest part of an axis that may be shown. */
const least = 1 / 1000;

/** within keeps a span inside the whole, with its length where that is possible. */
function within([from, to]: Span, whole: Span): Span {
  const most = whole[1] - whole[0];
  const length = Math.min(most, Math.max(to - from, most * least));
  const start = Math.min(Math.max(from, whole[0]), whole[1] - length);
  return [start, start + length];
}

/** zoomed makes a span longer by a factor, or shorter; what is at the middle stays in its place. */
export function zoomed([from, to]: Span, factor: number, middle: number, whole: Span): Span {
  return within([middle - (middle - from) * factor, middle + (to - middle) * factor], whole);
}

/** moved shifts a span by a share of its length. */
export function moved([from, to]: Span, share: number, whole: Span): Span {
  const by = (to - from) * share;
  return within([from + by, to + by], whole);
}

/** pinched gives the span in which two values lie under two fingers, in pixels of a width. */
export function pinched(values: Span, fingers: Span, width: number, whole: Span): Span | null {
  const apart = fingers[1] - fingers[0];
  const scale = (values[1] - values[0]) / apart;
  if (Math.abs(apart) < 10 || !(scale > 0)) return null;
  const from = values[0] - scale * fingers[0];
  return within([from, from + scale * width], whole);
}
