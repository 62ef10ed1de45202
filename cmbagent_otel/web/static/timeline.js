// The timeline: a row for each frame, attempt and opened call, on a scale that shortens long pauses.

import { h, place, svg } from "./dom.js";
import { rowMatches } from "./filters.js";
import { glyph } from "./glyph.js";
import { RowList } from "./rows.js";
import { makeScale } from "./scale.js";
import { duration } from "./words.js";

const HEIGHT = 20;
const LANES = 2;

export class Timeline {
  constructor(view) {
    this.view = view;
    this.list = new RowList("Timeline: phases, attempts and calls", HEIGHT, (row, at, rows) => this.row(row, at, rows), (id) => view.select(id, { from: "rows" }));
    this.under = h("div", { class: "under" });
    this.list.inner.append(this.under);
    this.ruler = h("div", { class: "ruler", title: "Drag to look at a stretch of time, double-click for all of it" });
    this.note = h("span");
    const grip = h("div", { class: "grip" });
    this.element = [grip, h("div", { class: "tlh" }, h("div", { class: "l" }, h("b", null, "Timeline"), this.note), this.ruler), this.list.element];
    this.list.element.addEventListener("click", (event) => {
      const twist = event.target.closest("[data-twist]");
      if (twist) view.toggle(twist.dataset.twist);
    });
    this.list.element.addEventListener("wheel", () => view.gesture(), { passive: true });
    this.ruler.addEventListener("pointerdown", (event) => this.range(event));
    this.ruler.addEventListener("dblclick", () => view.update({ t: "" }));
    grip.addEventListener("pointerdown", (event) => this.resize(event, grip));
  }

  /** As high as its rows need, up to a share of the window; `--tl-height` is what the reader drags it to. */
  grow(rows) {
    const most = Math.min(320, 0.33 * innerHeight);
    this.element[0].parentNode.style.height = `var(--tl-height, ${Math.max(110, Math.min(most, 34 + rows * HEIGHT))}px)`;
  }

  show(rows) {
    const { model, state, selected } = this.view;
    const width = this.ruler.clientWidth;
    if (!width) return;
    const [from, to] = rangeOf(state, model);
    // While the run goes on its end moves each second; the scale moves in steps, so that bars do not creep.
    const end = model.head.open && !state.t ? stepped(to) : to;
    const key = JSON.stringify([width, from, end, model.head.pauses]);
    if (key !== this.key) {
      this.key = key;
      this.scale = makeScale(width, from, end, model.head.pauses);
      this.width = width;
      this.drawRuler();
    }
    this.place();
    this.list.show(rows, selected);
  }

  drawRuler() {
    const { scale } = this;
    const labels = scale.ticks.map(([x, text]) => place(h("span", { class: x < 16 ? "first" : null }, text), x < 16 ? 4 : x));
    for (const [start, end, kind, length] of scale.gaps) {
      const text = kind === "wait" ? `${duration(length)} wait` : `${duration(length)} idle`;
      labels.push(place(h("span", { class: kind, title: kind === "wait" ? "a person was waited for" : "nothing was recorded" }, text), (scale.x(start) + scale.x(end)) / 2));
    }
    this.ruler.replaceChildren(...labels);
    this.note.textContent = scale.gaps.length ? "pauses over 15 min are shortened" : this.view.state.t ? "a stretch; double-click the ruler for all" : "";
  }

  place() {
    const { scale, view } = this;
    const parts = scale.gaps.map(([start, end, kind]) => place(h("div", { class: `gap ${kind}` }), scale.x(start), 0, scale.x(end) - scale.x(start)));
    if (view.model.head.open) parts.push(place(h("div", { class: "nowline" }), scale.x(Math.min(view.model.now(), scale.to)), 0));
    this.under.replaceChildren(...parts);
  }

  row(row, at, rows) {
    const { model, state, selected, hits } = this.view;
    const { item, card } = row;
    const open = item.t0 !== null && item.t0 !== undefined && item.t1 === null;
    const flags = {
      selected: row.id === selected,
      open: state.open.has(row.id),
      dim: !rowMatches(state, model, row),
      hit: hits?.nodes.has(row.id) ?? false,
      first: at === 0,
      last: at === rows.length - 1,
      lane: Math.min(LANES, laneOf(model, card)),
      attempts: card ? model.attempts(card).length : 0,
    };
    const now = open ? Math.floor(model.now()) : 0;
    const signature = JSON.stringify([row.kind, row.level, item, flags, now, this.key]);
    return { signature, element: () => this.draw(row, flags) };
  }

  draw(row, flags) {
    const { model } = this.view;
    const { item, card, kind } = row;
    const classes = ["row", kind === "card" ? "card-row" : kind, flags.selected && "sel", flags.dim && "dimmed", flags.hit && "hit", card?.replaced && "old"];
    const number = kind === "card" && item.number !== undefined && item.number !== null ? `${item.number}  ` : "";
    const name = h("span", { class: "nm", title: item.label }, number && h("span", { class: "num" }, number), item.label);
    const twist = kind === "card" && h("button", { type: "button", class: "twist", tabindex: "-1", "data-twist": row.id, "aria-label": flags.open ? "Close" : "Open" }, flags.open ? "▾" : "▸");
    const indent = h("span", { class: "level" });
    indent.style.width = `${kind === "call" ? 18 + 12 * Math.min(8, item.level) : kind === "frame" ? Math.min(4, row.level) * 8 : 0}px`;
    const left = h(
      "div",
      { class: "l" },
      this.rail(row, flags),
      twist,
      kind !== "card" && indent,
      kind === "call" && item.shape && glyph(item.shape, item.look),
      name,
      kind === "card" && flags.attempts > 1 && h("span", { class: item.attempt > 1 ? "tag redo" : "tag" }, `attempt ${item.attempt}`),
      h("span", { class: "c" }, item.costs === "–" ? "" : item.costs),
    );
    return h(
      "div",
      {
        class: classes.filter(Boolean).join(" "),
        id: `row-${row.id}`,
        "data-id": kind === "wait" ? null : row.id,
        role: "treeitem",
        "aria-level": row.level + 1,
        "aria-expanded": kind === "card" ? String(flags.open) : null,
        "aria-selected": String(flags.selected),
        "aria-label": spoken(row, model),
      },
      left,
      h("div", { class: "r" }, this.bar(row)),
    );
  }

  bar({ item, kind, card }) {
    const seconds = this.view.model.seconds(item);
    const { scale } = this;
    if (seconds === null || item.t0 + seconds < scale.from || item.t0 > scale.to) return [];
    const from = scale.x(Math.max(item.t0, scale.from));
    const to = scale.x(Math.min(item.t0 + seconds, scale.to));
    const human = item.kind === "approval" || (kind === "card" && item.has.length > 0 && item.has.every((one) => one[2] === "approval"));
    const look = human && item.look === "completed" ? "human" : item.look;
    const bar = place(h("div", { class: `bar ${look}${card?.replaced ? " old" : ""}${kind === "frame" ? " frame" : ""}` }), from, undefined, Math.max(2, to - from));
    const text = duration(seconds);
    const exit = item.exit ? `exit ${item.exit}` : "";
    const room = 6.3 * (text.length + exit.length + 1) + 12;
    const label = h("span", { class: `bl${kind === "frame" ? " frame" : ""}` }, text, exit && " ", exit && h("b", null, exit));
    if (Math.max(to, from + 2) + room > this.width && from > room) {
      label.style.right = `${this.width - from + 4}px`;
      return [bar, label];
    }
    return [bar, place(label, Math.min(Math.max(to, from + 2), this.width - room))];
  }

  /** The branches: a line down the side, a bow out to each attempt that was made again. */
  rail({ kind, item, card }, { lane, attempts, first, last }) {
    const x = 12 + lane * 9;
    const aside = attempts > 1 && (lane > 0 || kind === "call");
    const parts = [svg("path", { class: aside ? "side" : "main", d: `M12 ${first ? 10 : 0}V${last ? 10 : HEIGHT}` })];
    if (kind === "card") {
      if (lane > 0) parts.push(svg("path", { class: "again", d: `M12 0C12 7 ${x} 3 ${x} 10C${x} 17 12 13 12 ${HEIGHT}` }));
      parts.push(svg("circle", { class: `${item.look}${item.replaced ? " old" : ""}`, cx: x, cy: 10, r: 4 }));
    } else if (kind === "call" && attempts > 1 && laneOf(this.view.model, card) > 0) {
      parts[0].setAttribute("class", "side");
    }
    return svg("svg", { class: "rail", viewBox: `0 0 36 ${HEIGHT}`, "aria-hidden": "true" }, parts);
  }

  range(event) {
    if (event.button !== 0) return;
    const box = this.ruler.getBoundingClientRect();
    const start = event.clientX - box.left;
    const shade = h("div", { class: "range" });
    this.ruler.setPointerCapture(event.pointerId);
    const ends = (moving) => [Math.min(start, moving.clientX - box.left), Math.max(start, moving.clientX - box.left)];
    const drag = (moving) => {
      const [left, right] = ends(moving);
      if (right - left < 5) return;
      if (!shade.parentNode) this.ruler.append(shade);
      place(shade, left, undefined, right - left);
    };
    const drop = (moving) => {
      this.ruler.removeEventListener("pointermove", drag);
      this.ruler.removeEventListener("pointerup", drop);
      shade.remove();
      const [left, right] = ends(moving);
      if (right - left < 5) return;
      const digits = this.scale.to - this.scale.from > 100 ? 0 : 2;
      this.view.update({ t: `${this.scale.moment(left).toFixed(digits)}..${this.scale.moment(right).toFixed(digits)}` });
    };
    this.ruler.addEventListener("pointermove", drag);
    this.ruler.addEventListener("pointerup", drop);
  }

  resize(event, grip) {
    const panel = grip.parentNode;
    const start = { y: event.clientY, height: panel.clientHeight };
    grip.setPointerCapture(event.pointerId);
    const drag = (moving) => {
      const height = Math.min(innerHeight - 260, Math.max(90, start.height + start.y - moving.clientY));
      panel.style.setProperty("--tl-height", `${height}px`);
      this.view.resized();
    };
    grip.addEventListener("pointermove", drag);
    grip.addEventListener("pointerup", () => grip.removeEventListener("pointermove", drag), { once: true });
  }
}

/** What a row says to who does not see it. */
export function spoken({ item, kind, card }, model) {
  const attempts = kind === "card" ? model.attempts(card).length : 0;
  const number = kind === "card" && item.number !== undefined && item.number !== null ? `Step ${item.number} ` : "";
  const seconds = model.seconds(item);
  return [
    `${number}${item.label}`,
    attempts > 1 && `attempt ${item.attempt} of ${attempts}`,
    item.status,
    kind === "card" && item.replaced && "replaced",
    seconds !== null && seconds !== undefined && item.look !== "pending" && duration(seconds),
    item.costs && item.costs !== "–" && item.costs,
    item.exit && `exit code ${item.exit}`,
    ...(item.notes ?? []),
  ]
    .filter(Boolean)
    .join(", ");
}

function laneOf(model, card) {
  return card ? Math.max(0, model.attempts(card).indexOf(card)) : 0;
}

function rangeOf(state, model) {
  const [from, to] = state.t.split("..").map(Number);
  const end = Math.max(model.head.end ?? model.now(), 0.001);
  return to > from ? [from, to] : [0, end];
}

/** The next round figure a little beyond: 2 % of room, kept until the run has grown into it. */
function stepped(seconds) {
  const step = 10 ** Math.floor(Math.log10(Math.max(seconds, 1))) / 20;
  return Math.ceil((seconds * 1.005) / step) * step;
}
