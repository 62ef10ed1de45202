// Figures as people write them; the same words as query/words.py, for what moves while the page is open.

export const UNKNOWN = "–";

/** `< 1 ms`, `40 ms`, `4.2 s`, `42 s`, `1 m 11 s`, `3 h 06 m`, `2 d 04 h`. */
export function duration(seconds) {
  if (seconds === null || seconds === undefined) return UNKNOWN;
  if (seconds > 0 && seconds < 0.0005) return "< 1 ms";
  if (seconds < 0.9995) return `${Math.max(0, Math.round(seconds * 1000))} ms`;
  if (seconds < 9.95) return `${seconds.toFixed(1)} s`;
  if (seconds < 59.5) return `${Math.round(seconds)} s`;
  if (seconds < 3599.5) return two(Math.round(seconds), 60, "m", "s");
  if (seconds < 48 * 3600 - 30) return two(Math.round(seconds / 60), 60, "h", "m");
  return two(Math.round(seconds / 3600), 24, "d", "h");
}

function two(small, inLarge, largeUnit, smallUnit) {
  const large = Math.floor(small / inLarge);
  const rest = small % inLarge;
  return rest ? `${large} ${largeUnit} ${String(rest).padStart(2, "0")} ${smallUnit}` : `${large} ${largeUnit}`;
}

/** `$3.82`; small sums keep their digits. */
export function cost(dollars) {
  if (dollars === null || dollars === undefined) return UNKNOWN;
  if (dollars > 0 && dollars < 0.0001) return "< $0.0001";
  if (dollars > 0 && dollars < 0.01) return `$${dollars.toFixed(4)}`;
  return `$${dollars.toLocaleString("en", { minimumFractionDigits: 2, maximumFractionDigits: 2 })}`;
}

/** `1 step`, `3 steps`. */
export function plural(number, one, many = `${one}s`) {
  return `${number.toLocaleString("en")} ${number === 1 ? one : many}`;
}

/** A moment on the ruler, in the coarsest words that tell it: `2 h 20`, `12 m`, `1 m 30`, `40 s`. */
export function tick(seconds) {
  const h = Math.floor(seconds / 3600);
  const m = Math.floor((seconds % 3600) / 60);
  const s = Math.round(seconds % 60);
  if (h >= 48) return h % 24 ? `${Math.floor(h / 24)} d ${h % 24} h` : `${h / 24} d`;
  if (h) return m ? `${h} h ${String(m).padStart(2, "0")}` : `${h} h`;
  if (m) return s ? `${m} m ${String(s).padStart(2, "0")}` : `${m} m`;
  if (seconds && seconds < 1) return `${Math.round(seconds * 1000)} ms`;
  return `${Number(seconds.toFixed(1))} s`;
}
