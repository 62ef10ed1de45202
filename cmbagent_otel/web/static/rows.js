// The rows of the timeline and of the tree: frames, cards, and what is inside the open ones.

/** A row: what it shows, its kind (`frame`, `card`, `call`, `wait`), its level, and the card it belongs to. */
export function rowsOf(model, state) {
  const rows = [];
  for (const id of model.order) {
    const frame = model.frames[id];
    if (frame) {
      rows.push({ id, item: frame, kind: "frame", level: frame.depth });
      continue;
    }
    const card = model.cards[id];
    if (state.old && card.replaced) continue;
    rows.push({ id, item: card, kind: "card", level: card.depth, card });
    if (!state.open.has(id)) continue;
    const inside = model.inside.get(id);
    if (!inside) {
      model.open(id);
      rows.push({ id: `${id} loading`, item: { label: "Loading …", look: "pending" }, kind: "wait", level: card.depth + 1, card });
    }
    for (const item of inside ?? []) rows.push({ id: item.id, item, kind: "call", level: card.depth + 1 + item.level, card });
  }
  return rows;
}

/** A list that has only the rows in its page that can be seen, and some more. */
export class RowList {
  /** @param height of a row in px  @param render makes the element of a row  @param choose is told a chosen row */
  constructor(label, height, render, choose) {
    this.height = height;
    this.render = render;
    this.rows = [];
    this.made = new Map();
    this.inner = document.createElement("div");
    this.inner.className = "rows";
    this.inner.setAttribute("role", "presentation");
    this.element = document.createElement("div");
    this.element.className = "list";
    this.element.tabIndex = 0;
    this.element.setAttribute("role", "tree");
    this.element.setAttribute("aria-label", label);
    this.element.append(this.inner);
    this.element.addEventListener("scroll", () => this.draw(), { passive: true });
    this.inner.addEventListener("click", (event) => {
      const row = event.target.closest("[data-id]");
      if (row && !event.target.closest("button")) choose(row.dataset.id);
    });
  }

  /** Show other rows, or the same anew; those whose signature is the same keep their element. */
  show(rows, selected) {
    this.rows = rows;
    this.selected = selected;
    this.inner.style.height = `${rows.length * this.height}px`;
    this.draw();
  }

  draw() {
    const { scrollTop, clientHeight } = this.element;
    const first = Math.max(0, Math.floor(scrollTop / this.height) - 12);
    const last = Math.min(this.rows.length, Math.ceil((scrollTop + clientHeight) / this.height) + 12);
    const kept = new Map();
    for (let place = first; place < last; place += 1) {
      const row = this.rows[place];
      const { signature, element } = this.render(row, place, this.rows);
      const before = this.made.get(row.id);
      const shown = before && before.signature === signature ? before.element : element();
      shown.style.top = `${place * this.height}px`;
      kept.set(row.id, { signature, element: shown });
      if (shown.parentNode !== this.inner || shown !== before?.element) this.inner.append(shown);
    }
    for (const [id, { element }] of this.made) if (kept.get(id)?.element !== element) element.remove();
    this.made = kept;
    const chosen = kept.get(this.selected)?.element;
    if (chosen) this.element.setAttribute("aria-activedescendant", chosen.id);
    else this.element.removeAttribute("aria-activedescendant");
  }

  /** Bring a row into view, if it is not. */
  reveal(id) {
    const place = this.rows.findIndex((row) => row.id === id);
    if (place < 0) return;
    const top = place * this.height;
    const { scrollTop, clientHeight } = this.element;
    if (top < scrollTop + this.height) this.element.scrollTop = Math.max(0, top - 2 * this.height);
    else if (top > scrollTop + clientHeight - 2 * this.height) {
      const shown = Math.floor(clientHeight / this.height);
      this.element.scrollTop = (place - shown + 3) * this.height;
    }
  }
}
