// Where a moment stands on the timeline: long pauses take a fixed width, the rest shares what is left.

import { tick } from "./words.js";

const GAP = 64;
const ROOM_FOR_LABELS = 92;
const STEPS = [0.1, 0.5, 1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 1200, 1800, 3600, 7200, 21600, 43200, 86400, 172800, 604800];

/** A scale for `width` px from `from` to `to` seconds; `pauses` are [start, end, kind]. */
export function makeScale(width, from, to, pauses) {
  const gaps = pauses
    .map(([start, end, kind]) => [Math.max(start, from), Math.min(end, to), kind, end - start])
    .filter(([start, end]) => end - start > 0)
    // With many pauses each gets less, so that some width is left for what was done.
    .map((gap, _, all) => [...gap, Math.min(GAP, (0.4 * width) / all.length)]);
  const paused = gaps.reduce((sum, gap) => sum + gap[1] - gap[0], 0);
  const taken = gaps.reduce((sum, gap) => sum + gap[4], 0);
  const perSecond = Math.max(1, width - taken - ROOM_FOR_LABELS) / Math.max(to - from - paused, 0.001);
  const x = (moment) => {
    let at = 0;
    let done = from;
    for (const [start, end, , , size] of gaps) {
      if (moment <= start) break;
      at += (start - done) * perSecond;
      if (moment < end) return at + ((moment - start) / (end - start)) * size;
      at += size;
      done = end;
    }
    return at + (moment - done) * perSecond;
  };
  const moment = (px) => {
    let low = from;
    let high = to;
    for (let i = 0; i < 40; i += 1) {
      const middle = (low + high) / 2;
      if (x(middle) < px) low = middle;
      else high = middle;
    }
    return low;
  };
  return { x, moment, gaps, from, to, perSecond, ticks: ticks(x, gaps, from, to, perSecond) };
}

function ticks(x, gaps, from, to, perSecond) {
  const step = STEPS.find((seconds) => seconds * perSecond >= 76) ?? STEPS.at(-1);
  const found = [];
  let last = -Infinity;
  const labels = gaps.map((gap) => (x(gap[0]) + x(gap[1])) / 2);
  for (let moment = Math.ceil(from / step) * step; moment <= to; moment += step) {
    if (gaps.some(([start, end]) => moment > start && moment < end)) continue;
    const at = x(moment);
    if (at - last < 56 || labels.some((label) => Math.abs(label - at) < 68)) continue;
    found.push([at, tick(moment)]);
    last = at;
  }
  return found;
}
