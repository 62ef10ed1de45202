// The run as the server told it, and what follows from it. Nothing here draws.

export class Model extends EventTarget {
  /** @param picture the run's picture, schema 1  @param load asks for what is inside a card */
  constructor(picture, load) {
    super();
    this.load = load;
    this.head = picture.head;
    this.frames = picture.frames;
    this.cards = picture.cards;
    this.order = picture.order;
    this.revision = picture.revision ?? "";
    this.skew = picture.now_ms ? picture.now_ms - Date.now() : 0;
    this.fixed = picture.exported_ms;
    this.inside = new Map();
    this.loading = new Map();
    this.index();
  }

  /** Take what has changed since the last revision. */
  apply(delta) {
    if (delta.reset) {
      this.frames = {};
      this.cards = {};
      this.inside.clear();
    }
    Object.assign(this.frames, delta.frames);
    Object.assign(this.cards, delta.cards);
    this.head = delta.head ?? this.head;
    this.order = delta.order ?? this.order;
    this.revision = delta.revision;
    this.skew = delta.now_ms - Date.now();
    this.index();
    const changed = new Set([...Object.keys(delta.cards ?? {}), ...Object.keys(delta.frames ?? {})]);
    for (const id of changed) if (this.inside.has(id)) this.open(id, true);
    this.dispatchEvent(new CustomEvent("change", { detail: { changed, reset: Boolean(delta.reset) } }));
  }

  /** What is derived from the order: steps with their attempts, bands with their columns, who stands where. */
  index() {
    this.steps = new Map();
    this.bands = new Map();
    this.cardOf = new Map();
    this.maxCost = 0;
    this.maxCall = 0;
    this.agents = new Set();
    for (const id of this.order) {
      const card = this.cards[id];
      if (!card) continue;
      this.cardOf.set(id, id);
      this.maxCost = Math.max(this.maxCost, card.cost ?? 0);
      for (const [, first, shapes] of card.rows) {
        if (!this.cardOf.has(first)) this.cardOf.set(first, id);
        for (const shape of shapes) {
          this.cardOf.set(shape[0], id);
          this.maxCall = Math.max(this.maxCall, shape[5] ?? 0);
        }
      }
      for (const [agent] of card.has) if (agent) this.agents.add(agent);
      for (const failed of card.failed) this.cardOf.set(failed, id);
      if (!this.bands.has(card.band)) this.bands.set(card.band, []);
      if (!this.steps.has(card.step)) {
        const column = { id: card.step, cards: [] };
        this.steps.set(card.step, column);
        this.bands.get(card.band).push(column);
      }
      this.steps.get(card.step).cards.push(card);
    }
    for (const [id, rows] of this.inside) for (const row of rows) this.cardOf.set(row.id, id);
  }

  /** Now, in seconds from the start of the run; in a file when it was made, of a run that fell silent when it was heard of last. */
  now() {
    const { head } = this;
    if (head.end !== null) return head.end;
    if (head.start_ms === null) return 0;
    const moment = head.look === "stale" ? head.news_ms : (this.fixed ?? Date.now() + this.skew);
    return Math.max(0, (moment - head.start_ms) / 1000);
  }

  /** How long something took, or has been going on; null before it starts. */
  seconds(item) {
    if (item.t0 === null || item.t0 === undefined || item.look === "pending") return null;
    return Math.max(0, (item.t1 ?? this.now()) - item.t0);
  }

  /** All attempts of a card's step. */
  attempts(card) {
    return this.steps.get(card.step)?.cards ?? [card];
  }

  /** A frame, a card, or a node inside one, as far as it is here. */
  item(id) {
    if (this.frames[id] || this.cards[id]) return this.frames[id] ?? this.cards[id];
    const card = this.cardOf.get(id);
    const row = card && this.inside.get(card)?.find((one) => one.id === id);
    if (row) return row;
    for (const [, , shapes] of card ? this.cards[card].rows : []) {
      const shape = shapes.find((one) => one[0] === id);
      if (shape) return { id, shape: shape[1], look: shape[2], t0: shape[3], t1: shape[4], label: shape[6] };
    }
    return undefined;
  }

  /** Ask for what is inside a card, once, or again. */
  open(id, again = false) {
    if (!this.cards[id] || (this.inside.has(id) && !again) || this.loading.has(id)) return this.loading.get(id);
    const first = !this.inside.has(id);
    const asked = this.load(id)
      .then((rows) => {
        this.inside.set(id, rows);
        for (const row of rows) this.cardOf.set(row.id, id);
      })
      .catch(() => undefined)
      .finally(() => {
        this.loading.delete(id);
        this.dispatchEvent(new CustomEvent("inside", { detail: { id, first } }));
      });
    this.loading.set(id, asked);
    return asked;
  }

  /** All that failed by itself, in order. */
  failures() {
    return this.order.flatMap((id) => this.cards[id]?.failed ?? []);
  }
}
