// The map: draws what can be seen of the layout, and moves and scales it.

import { h, place, svg } from "./dom.js";
import { cardMatches, filtering, shapeMatches } from "./filters.js";
import { KIND_WORDS, glyph, mark } from "./glyph.js";
import { CARD, edges, layout, route } from "./layout.js";
import { cost, duration, plural } from "./words.js";

const MARGIN = 300;
const HEADS = { path: "path", thin: "thin", running: "running", redo: "redo", handoff: "path" };

export class RunMap {
  /** @param view what all views share: the model, the state, what to do when something is chosen */
  constructor(view) {
    this.view = view;
    this.at = { x: 0, y: 0, k: 1 };
    this.unfolded = new Set();
    this.made = new Map();
    this.lines = svg("svg", { width: 1, height: 1, "aria-hidden": "true" });
    this.world = h("div", { class: "world" }, this.lines);
    this.pane = h("div", { class: "pane", role: "group", "aria-label": "Map of the run" }, this.world);
    this.pane.addEventListener("click", (event) => this.click(event));
    this.pane.addEventListener("pointerdown", (event) => this.grab(event));
    this.pane.addEventListener("wheel", (event) => this.wheel(event), { passive: false });
    this.markers();
  }

  get flowing() {
    return innerWidth <= 640;
  }

  markers() {
    const defs = svg("defs");
    for (const name of ["path", "thin", "running", "redo"]) {
      const size = name === "path" || name === "running" ? 4.6 : 6;
      defs.append(
        svg(
          "marker",
          { id: `head-${name}`, viewBox: "0 0 8 8", refX: 6.5, refY: 4, markerWidth: size, markerHeight: size, orient: "auto" },
          svg("path", { d: "M0 .5 8 4 0 7.5Z", class: `head-${name}` }),
        ),
      );
    }
    this.defs = defs;
  }

  /** Lay out anew: after a change of the run, of the width, or of what is hidden. */
  lay() {
    const { model, state } = this.view;
    const { width } = this.pane.getBoundingClientRect();
    if (!width) return;
    const font = `600 12.5px ${getComputedStyle(document.body).fontFamily}`;
    const options = { hideOld: Boolean(state.old), unfolded: this.unfolded, font };
    this.layout = layout(model, this.flowing ? width : width / 0.9, options);
    this.edges = edges(model, this.layout);
    if (this.flowing) this.fit();
  }

  /** Fill the width, but keep the text readable. */
  fit() {
    if (!this.layout) return;
    const { width, height } = this.pane.getBoundingClientRect();
    const { width: all } = this.layout;
    if (this.flowing) {
      this.at = { x: 0, y: 8, k: Math.min(1.4, (width - 4) / Math.max(all, CARD)) };
      this.at.x = Math.max(0, (width - all * this.at.k) / 2);
      this.pane.style.height = `${this.layout.height * this.at.k + 24}px`;
    } else {
      this.pane.style.height = "";
      const k = Math.min((width - 44) / Math.max(all, 1), Math.max(0.88, (height - 34) / Math.max(this.layout.height, 1)), 1.06);
      this.at = { k: Math.max(0.8, k), x: 0, y: 14 };
      this.at.x = Math.max(26, (width - all * this.at.k) / 2);
    }
    this.draw();
  }

  zoom(by, clientX, clientY) {
    const box = this.pane.getBoundingClientRect();
    const x = (clientX ?? box.left + box.width / 2) - box.left;
    const y = (clientY ?? box.top + box.height / 2) - box.top;
    const k = Math.min(2, Math.max(0.2, this.at.k * by));
    this.at = { k, x: x - ((x - this.at.x) * k) / this.at.k, y: y - ((y - this.at.y) * k) / this.at.k };
    this.draw();
  }

  /** Bring a card into view, if it is not. */
  reveal(id) {
    const box = this.layout?.boxes.get(id);
    if (!box) return;
    if (box.folded) {
      this.unfolded.add(this.view.model.cards[id].step);
      this.lay();
      this.reveal(id);
      return;
    }
    if (this.flowing) return;
    const { width, height } = this.pane.getBoundingClientRect();
    const { k } = this.at;
    const left = box.x * k + this.at.x;
    const top = box.y * k + this.at.y;
    if (left < 8) this.at.x += 24 - left;
    else if (left + box.w * k > width - 8) this.at.x -= left + box.w * k - width + 24;
    if (top < 8) this.at.y += 40 - top;
    else if (top + box.h * k > height - 8) this.at.y -= top + box.h * k - height + 28;
    this.draw();
  }

  seen() {
    const { x, y, k } = this.at;
    const box = this.pane.getBoundingClientRect();
    const top = this.flowing ? Math.max(0, -box.top) : 0;
    const height = this.flowing ? innerHeight : box.height;
    return {
      left: -x / k - MARGIN,
      right: (box.width - x) / k + MARGIN,
      top: (top - y) / k - MARGIN,
      bottom: (top + height - y) / k + MARGIN,
    };
  }

  draw() {
    if (!this.layout) return;
    const { model, state, selected } = this.view;
    const seen = this.seen();
    const inView = (box) => box.y < seen.bottom && box.y + box.h > seen.top && box.x < seen.right && box.x + box.w > seen.left;
    const chosen = model.cardOf.get(selected);
    const kept = new Map();
    const keep = (key, signature, make) => {
      const before = this.made.get(key);
      const element = before?.signature === signature ? before.element : make();
      kept.set(key, { signature, element });
      if (element.parentNode !== this.world) this.world.append(element);
    };
    for (const band of this.layout.bands) {
      if (!inView(band)) continue;
      const frame = model.frames[band.id];
      const label = frame?.label ?? (band.part ? "" : model.head.mode);
      const figures = band.part || !frame ? "" : [band.steps > 0 && plural(band.steps, "step"), duration(model.seconds(frame)), frame.costs].filter((part) => part && part !== "–").join(" · ");
      const signature = JSON.stringify([band, label, figures, band.id === selected]);
      keep(`band ${band.id} ${band.part}`, signature, () => this.band(band, label, figures, frame && band.id === selected));
    }
    const share = (card) => (model.maxCost ? (card.cost ?? 0) / model.maxCost : 0);
    for (const [id, box] of this.layout.boxes) {
      if (box.folded || !inView(box)) continue;
      const { card } = box;
      const matches = cardMatches(state, card);
      if (!matches && state.others) continue;
      const hit = this.view.hits?.cards.has(id) ?? false;
      const time = duration(model.seconds(card));
      const now = chosen === id ? selected : "";
      const filter = filtering(state) ? [state.agent, state.status, state.kind, state.min, state.dollars] : 0;
      const signature = JSON.stringify([card, box.x, box.y, box.h, time, now, matches, hit, share(card), state.heat && model.maxCall, filter]);
      keep(id, signature, () => this.card(card, box, { time, selected: now, matches, hit, share: share(card) }));
    }
    for (const fold of this.layout.folds) {
      if (!inView(fold)) continue;
      keep(`fold ${fold.step}`, JSON.stringify([fold.x, fold.y, fold.cards.length]), () => this.fold(fold));
    }
    this.drawEdges(inView, state);
    for (const [key, { element }] of this.made) if (kept.get(key)?.element !== element) this.drop(element, kept.get(key)?.element);
    this.made = kept;
    this.drawn = { ...this.at };
    this.world.classList.toggle("far", this.at.k < 0.6);
    this.move();
  }

  /** Take an element away; the focus that was in it goes to the one that stands for it now. */
  drop(element, successor) {
    const focused = element.contains(document.activeElement) ? document.activeElement.dataset.id : undefined;
    element.remove();
    if (focused) successor?.querySelector(`[data-id="${CSS.escape(focused)}"]`)?.focus({ preventScroll: true });
  }

  move() {
    this.world.style.transform = `translate(${this.at.x}px, ${this.at.y}px) scale(${this.at.k})`;
  }

  band(band, label, figures, selected) {
    const title = band.part ? `${label} (continued)` : label;
    const button = h("button", { type: "button", tabindex: "-1", "data-id": this.view.model.frames[band.id] ? band.id : undefined }, title, figures && h("span", null, figures));
    return place(h("div", { class: `band${selected ? " sel" : ""}` }, title && button), band.x, band.y, band.w, band.h);
  }

  card(card, box, { time, selected, matches, hit, share }) {
    const { model, state } = this.view;
    const attempts = model.attempts(card);
    const several = attempts.length > 1 || card.attempt > 1;
    const name = card.number === undefined || card.number === null ? card.label : `Step ${card.number} ${card.label}`;
    const label = [name, several && `attempt ${card.attempt} of ${Math.max(attempts.length, card.attempt)}`, card.status, card.replaced && "replaced"].filter(Boolean).join(", ");
    const classes = ["card", card.look, card.replaced && "old", selected && "sel", !matches && "dimmed", hit && "hit"];
    const title = h("h4", null, card.number !== undefined && card.number !== null && h("span", { class: "n num" }, card.number), h("span", { class: "t", title: card.label }, card.label), mark(card.look));
    const started = card.t0 !== null && card.look !== "pending";
    // The names take what the longest row of shapes leaves, so that shapes stand under each other.
    const room = CARD - 26 - Math.max(0, ...card.rows.map(([, , shapes, more]) => 19 * shapes.length + (more ? 28 : 0)));
    const footer = h(
      "div",
      { class: "ft" },
      h("span", null, started ? time : "not started"),
      started && card.costs !== "–" && h("span", null, card.costs),
      h("span", { class: "space" }),
      card.notes && h("span", { class: "tag redo", title: card.notes.join("; ") }, "!"),
      card.over_limit && h("span", { class: "tag redo", title: "over the limit of redos" }, "over limit"),
      card.replaced ? h("span", { class: "tag" }, "replaced") : card.attempt > 1 && h("span", { class: "tag redo" }, `attempt ${card.attempt}`),
    );
    const bar = h("div", { class: "costbar" }, h("i"));
    bar.firstChild.style.width = `${100 * share}%`;
    const element = h(
      "div",
      { class: classes.filter(Boolean).join(" "), "data-id": card.id, role: "button", tabindex: selected || (!this.view.selected && card.id === model.order[0]) ? "0" : "-1", "aria-label": label, "aria-pressed": String(Boolean(selected)) },
      title,
      card.rows.map((row) => this.agent(row, { selected, state, room })),
      footer,
      share > 0 && bar,
    );
    return place(element, box.x, box.y, CARD, box.h);
  }

  agent([name, first, shapes, more, failed], { selected, state, room }) {
    if (name === null) {
      return h("div", { class: "ag" }, h("span", { class: "an" }, `${plural(more, "more agent")}`), failed > 0 && h("span", { class: "tag bad" }, `${failed} failed`));
    }
    const { model } = this.view;
    const agent = h("span", { class: "an", title: name, "data-id": first }, name || "calls");
    agent.style.width = `${Math.min(116, room)}px`;
    return h(
      "div",
      { class: "ag" },
      agent,
      shapes.map((shape) => {
        const [id, kind, look, t0, t1, price, label] = shape;
        const seconds = t0 === null ? null : (t1 ?? model.now()) - t0;
        const said = [label, look, seconds === null ? "" : duration(seconds), price ? cost(price) : ""].filter(Boolean).join(" · ");
        const faint = filtering(state) && !shapeMatches(state, name, shape, seconds);
        const heat = state.heat && model.maxCall && price !== null ? price / model.maxCall : undefined;
        return h("button", { type: "button", class: `chip${faint ? " dimmed" : ""}`, "data-id": id, tabindex: "-1", title: said, "aria-label": `${KIND_WORDS[kind] ?? "call"}: ${said}`, "aria-current": id === selected ? "true" : undefined }, glyph(kind, look, heat));
      }),
      more > 0 && h("span", { class: failed ? "tag bad" : "tag", title: failed ? `${failed} of them failed` : "open the row to see them" }, `+${more}`),
    );
  }

  fold(fold) {
    const label = `${plural(fold.cards.length, "more attempt")}`;
    const element = h("button", { type: "button", class: "card fold", "data-unfold": fold.step, tabindex: "-1" }, label);
    return place(element, fold.x, fold.y, CARD, fold.h);
  }

  drawEdges(inView, state) {
    const drawn = [this.defs];
    const notes = [];
    const shown = (id) => !state.others || cardMatches(state, this.view.model.cards[id]);
    for (const edge of this.edges) {
      if ((!inView(edge.a) && !inView(edge.b)) || !shown(edge.from) || !shown(edge.to)) continue;
      drawn.push(svg("path", { class: `edge ${edge.look}`, d: route(edge), "marker-end": `url(#head-${HEADS[edge.look]})` }));
      if (edge.look === "redo") {
        const { card, a, b } = edge;
        const note = h("div", { class: "hyp", title: card.hypothesis }, h("b", null, mark("redo"), card.why || "redo"), card.hypothesis && h("span", null, card.hypothesis));
        notes.push(place(note, a.x + 27, Math.max(a.y + a.h + 1, b.y - 46), CARD - 27));
      }
    }
    // The current path lies over what was replaced.
    drawn.sort((one, other) => rank(one) - rank(other));
    this.lines.replaceChildren(...drawn);
    for (const note of this.notes ?? []) note.remove();
    this.notes = notes;
    this.world.append(...notes);
  }

  click(event) {
    if (this.moved) return;
    const unfold = event.target.closest("[data-unfold]");
    if (unfold) {
      this.unfolded.add(unfold.dataset.unfold);
      this.lay();
      this.draw();
      return;
    }
    const chosen = event.target.closest("[data-id]");
    if (chosen) this.view.select(chosen.dataset.id, { from: "map" });
  }

  grab(event) {
    this.moved = false;
    if (this.flowing || event.button !== 0) return;
    const start = { x: event.clientX, y: event.clientY, at: { ...this.at } };
    const drag = (moving) => {
      const dx = moving.clientX - start.x;
      const dy = moving.clientY - start.y;
      if (!this.moved && Math.hypot(dx, dy) < 4) return;
      if (!this.moved) this.pane.setPointerCapture(event.pointerId);
      this.moved = true;
      this.view.gesture();
      this.at.x = start.at.x + dx;
      this.at.y = start.at.y + dy;
      this.pan();
    };
    const drop = () => {
      this.pane.removeEventListener("pointermove", drag);
      this.pane.removeEventListener("pointerup", drop);
      this.pane.removeEventListener("pointercancel", drop);
      // A click follows the release of a drag; it is no choice.
      setTimeout(() => (this.moved = false));
    };
    this.pane.addEventListener("pointermove", drag);
    this.pane.addEventListener("pointerup", drop);
    this.pane.addEventListener("pointercancel", drop);
  }

  wheel(event) {
    if (this.flowing) return;
    event.preventDefault();
    this.view.gesture();
    if (event.ctrlKey || event.metaKey) {
      this.zoom(Math.exp(-event.deltaY * 0.003), event.clientX, event.clientY);
      return;
    }
    this.at.x -= event.shiftKey ? event.deltaY : event.deltaX;
    this.at.y -= event.shiftKey ? 0 : event.deltaY;
    this.bound();
    this.pan();
  }

  /** Keep some of the picture in view: who scrolls far must not get lost. */
  bound() {
    const { width, height } = this.pane.getBoundingClientRect();
    const { k } = this.at;
    this.at.x = Math.min(width - 120, Math.max(120 - this.layout.width * k, this.at.x));
    this.at.y = Math.min(Math.max(20, height - 120), Math.max(120 - this.layout.height * k, this.at.y));
  }

  /** Move what is drawn; draw anew only when that is not enough. */
  pan() {
    const far = Math.abs(this.at.y - this.drawn.y) > 220 * this.at.k || Math.abs(this.at.x - this.drawn.x) > 220 * this.at.k;
    if (far || this.at.k !== this.drawn.k) this.draw();
    else this.move();
  }
}

const rank = (element) => (element.classList?.contains("thin") ? 0 : element.classList?.contains("redo") ? 1 : 2);
