// Where the cards stand: phases are bands, steps are columns, an attempt is a card in the lane below the one before.
// One pass over the run, in its order, so that nothing moves when something later arrives.

export const CARD = 196;
export const TOP = 26;
const ACROSS = 26;
const LANE = 48;
const PAD = 14;
const BETWEEN = 24;
const DOWN = 34;
const FOLD = 34;
const STACK = 22;
const SHOWN_TRIES = 3;

const context = document.createElement("canvas").getContext("2d");
const widths = new Map();
const LINES = 3;

/** How many lines a card's title takes: one to three; words leave some of each line empty. */
function titleLines(card, font) {
  const text = `${card.number ?? ""} ${card.label}`;
  if (!widths.has(text)) {
    context.font = font;
    widths.set(text, context.measureText(text).width);
  }
  const line = CARD - 46;
  const width = widths.get(text);
  return width <= line ? 1 : Math.min(LINES, Math.ceil((1.1 * width) / line));
}

export function cardHeight(card, font) {
  return 14 + 16 * titleLines(card, font) + 22 * Math.max(1, card.rows.length) + 27;
}

/** Boxes by card, bands, the folded attempts, and the size of it all.
 *  @param width of the view  @param options `hideOld`, `unfolded` (ids of steps shown whole), `font` of titles */
export function layout(model, width, { hideOld, unfolded, font }) {
  const per = Math.max(width < 520 ? 1 : 3, Math.floor((width - 2 * PAD + ACROSS) / (CARD + ACROSS)));
  const boxes = new Map();
  const bands = [];
  const folds = [];
  let x = 0;
  let y = 0;
  let rowHeight = 0;
  let used = 0;
  // One column only: the cards of a band stand under each other.
  const stacked = per === 1;
  const newRow = () => {
    y += rowHeight + DOWN;
    x = 0;
    used = 0;
    rowHeight = 0;
  };
  for (const [bandId, all] of model.bands) {
    const columns = all.map((column) => slots(column, hideOld, unfolded)).filter((slots) => slots.length);
    for (let start = 0, part = 0; start < columns.length; part += 1) {
      if (used && used + Math.min(columns.length - start, per) > per) newRow();
      const taken = stacked ? columns : columns.slice(start, start + per - used);
      const lanes = [];
      for (const column of taken) {
        column.forEach((slot, lane) => {
          lanes[lane] = Math.max(lanes[lane] ?? 0, slot.folded ? FOLD : cardHeight(slot.card, font));
        });
      }
      let bottom = y;
      let above = y + TOP;
      taken.forEach((column, place) => {
        let top = stacked ? above : y + TOP;
        const left = x + PAD + (stacked ? 0 : place * (CARD + ACROSS));
        column.forEach((slot, lane) => {
          const height = slot.folded ? FOLD : cardHeight(slot.card, font);
          const box = { x: left, y: top, w: CARD, h: height, row: y, place: used + place, first: used, stacked };
          if (slot.folded) {
            folds.push({ ...box, cards: slot.folded, step: slot.folded[0].step });
            for (const card of slot.folded) boxes.set(card.id, { ...box, folded: true });
          } else {
            boxes.set(slot.card.id, { ...box, card: slot.card });
          }
          bottom = Math.max(bottom, top + height);
          above = top + height + STACK;
          top += (stacked ? height : lanes[lane]) + LANE;
        });
      });
      const bandWidth = 2 * PAD + (stacked ? 1 : taken.length) * (CARD + ACROSS) - ACROSS + (stacked ? STACK : 0);
      const bandHeight = bottom + 14 - y;
      bands.push({ id: bandId, x, y, w: bandWidth, h: bandHeight, part, steps: all.filter((column) => column.cards[0].kind === "step").length });
      x += bandWidth + BETWEEN;
      used += taken.length;
      rowHeight = Math.max(rowHeight, bandHeight);
      start += taken.length;
      if (used >= per && start < columns.length) newRow();
    }
  }
  const size = (key, extent) => bands.reduce((most, band) => Math.max(most, band[key] + band[extent]), 0);
  return { boxes, bands, folds, width: size("x", "w"), height: size("y", "h") };
}

/** The lanes of a step: its attempts, the middle ones of many folded into one. */
function slots(column, hideOld, unfolded) {
  const cards = hideOld ? column.cards.filter((card) => !card.replaced) : column.cards;
  if (cards.length <= SHOWN_TRIES || unfolded.has(column.id)) return cards.map((card) => ({ card }));
  return [{ card: cards[0] }, { folded: cards.slice(1, -1) }, { card: cards.at(-1) }];
}

/** The arrows: from what each card follows to the card, and from attempt to attempt. */
export function edges(model, { boxes }) {
  const found = [];
  for (const columns of model.bands.values()) {
    columns.forEach((column, place) => {
      const [first] = column.cards;
      const stated = new Map();
      for (const card of column.cards) for (const [from, type] of card.after) stated.set(from, type);
      if (!stated.size && place === 0) for (const [from, type] of frameSources(model, first)) stated.set(from, type);
      for (const [from, type] of stated) {
        const source = boxes.get(from);
        if (!source || column.cards.some((card) => card.id === from)) continue;
        for (const card of column.cards) {
          const target = boxes.get(card.id);
          if (target && !target.folded) found.push({ from, to: card.id, type, a: source, b: target, look: flowLook(card, type) });
        }
      }
      column.cards.slice(1).forEach((card, before) => {
        const a = boxes.get(column.cards[before].id);
        const b = boxes.get(card.id);
        if (a && b && !b.folded && a.y !== b.y) found.push({ from: column.cards[before].id, to: card.id, type: "redo", a, b, look: "redo", card });
      });
    });
  }
  return found;
}

function flowLook(card, type) {
  if (card.replaced || card.look === "pending") return "thin";
  return card.look === "running" ? "running" : type === "handoff" ? "handoff" : "path";
}

/** What the frame of a first card follows: the last card that stands for each such frame. */
function frameSources(model, card) {
  const frame = model.frames[card.band];
  return (frame?.after ?? []).flatMap(([id, type]) => {
    if (model.cards[id]) return [[id, type]];
    const column = model.bands.get(id)?.at(-1);
    return column ? [[column.cards.at(-1).id, type]] : [];
  });
}

/** The line of an arrow. */
export function route({ a, b, type }) {
  if (type === "redo") return `M${a.x + 18} ${a.y + a.h}V${b.y - 3}`;
  const fromY = a.y + 19;
  const toY = b.y + 19;
  const fromX = a.x + a.w;
  if (a.stacked) {
    const side = fromX + 15;
    return rounded([[fromX, fromY], [side, fromY], [side, toY], [fromX + 3, toY]]);
  }
  if (a.row === b.row && b.place === a.place + 1) {
    const toX = b.x - 3;
    if (Math.abs(fromY - toY) < 2) return `M${fromX} ${fromY}H${toX}`;
    const middle = (fromX + toX) / 2;
    return `M${fromX} ${fromY}C${middle + 6} ${fromY} ${middle - 6} ${toY} ${toX} ${toY}`;
  }
  if (a.row === b.row && b.place > a.place) {
    // Over the cards between, through the band's title line.
    return rounded([[fromX, fromY], [fromX + 10, fromY], [fromX + 10, b.row + TOP - 7], [b.x - 13, b.row + TOP - 7], [b.x - 13, toY], [b.x - 3, toY]]);
  }
  // In another row of bands: down the gutter behind the source, along the channel over the row, in from the left.
  const channel = b.row - 15;
  const gutter = b.x - (b.place === b.first ? PAD + 11 : 13);
  return rounded([[fromX, fromY], [fromX + 12, fromY], [fromX + 12, channel], [gutter, channel], [gutter, toY], [b.x - 3, toY]]);
}

/** A line through points, its corners rounded. */
function rounded(points) {
  let d = `M${points[0][0]} ${points[0][1]}`;
  for (let i = 1; i < points.length - 1; i += 1) {
    const [before, corner, after] = [points[i - 1], points[i], points[i + 1]];
    const radius = Math.min(8, distance(before, corner) / 2, distance(corner, after) / 2);
    const from = toward(corner, before, radius);
    const to = toward(corner, after, radius);
    d += `L${from[0]} ${from[1]}Q${corner[0]} ${corner[1]} ${to[0]} ${to[1]}`;
  }
  return `${d}L${points.at(-1)[0]} ${points.at(-1)[1]}`;
}

const distance = (a, b) => Math.hypot(a[0] - b[0], a[1] - b[1]);

function toward(from, to, length) {
  const whole = distance(from, to) || 1;
  return [from[0] + ((to[0] - from[0]) / whole) * length, from[1] + ((to[1] - from[1]) / whole) * length];
}
