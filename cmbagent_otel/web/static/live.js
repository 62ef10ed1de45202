// News of a run that is open: a stream while the page is looked at, questions every two seconds where none comes through.

const POLL_MS = 2000;
const RETRY_MS = 500;
const FAILURES = 3;

export class Live {
  /** @param urls `events` and `delta`  @param view is told `delta`s and the `state` of the connection */
  constructor(urls, model, tell) {
    this.urls = urls;
    this.model = model;
    this.tell = tell;
    this.failures = 0;
    document.addEventListener("visibilitychange", () => {
      // Who comes back gets another try at the stream.
      this.failures = 0;
      if (document.hidden) this.stop();
      else this.start();
    });
    addEventListener("pagehide", () => this.stop());
  }

  start() {
    if (!this.model.head.open) {
      this.tell({ state: "ended" });
      return;
    }
    if (this.source || this.timer || document.hidden) return;
    if (this.failures >= FAILURES || !("EventSource" in globalThis)) this.poll();
    else this.listen();
  }

  stop() {
    this.source?.close();
    this.source = undefined;
    clearTimeout(this.timer);
    this.timer = undefined;
  }

  listen() {
    const source = new EventSource(`${this.urls.events}?rev=${encodeURIComponent(this.model.revision)}`);
    this.source = source;
    source.addEventListener("open", () => {
      this.failures = 0;
      this.tell({ state: "live" });
    });
    source.addEventListener("delta", (event) => this.take(JSON.parse(event.data)));
    source.addEventListener("problem", (event) => {
      const { message } = JSON.parse(event.data);
      this.tell({ state: message ? "problem" : "live", message });
    });
    source.addEventListener("end", () => {
      this.stop();
      this.tell({ state: "ended" });
    });
    source.addEventListener("error", () => {
      // Not left to the browser, which waits for seconds and gives up on an answer that is no stream.
      this.failures += 1;
      this.stop();
      this.tell({ state: "reconnecting" });
      this.timer = setTimeout(() => {
        this.timer = undefined;
        this.start();
      }, RETRY_MS);
    });
  }

  poll() {
    const ask = async () => {
      try {
        const answer = await fetch(`${this.urls.delta}?rev=${encodeURIComponent(this.model.revision)}`);
        const delta = await answer.json();
        if (!answer.ok) throw new Error(delta.message);
        this.tell({ state: "polling" });
        this.take(delta);
      } catch (problem) {
        this.tell({ state: "problem", message: problem.message });
      }
      if (!this.timer) return;
      if (this.model.head.open) this.timer = setTimeout(ask, POLL_MS);
      else this.tell({ state: "ended" });
    };
    this.timer = setTimeout(ask, 0);
  }

  take(delta) {
    if (delta.revision !== this.model.revision) this.model.apply(delta);
  }
}
