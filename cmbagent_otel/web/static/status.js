// Live, polling, silent, ended: what the reader may rely on, in words.

import { duration, plural } from "./words.js";

const CONNECTIONS = {
  live: ["live", "on"],
  polling: ["polling", "on"],
  reconnecting: ["reconnecting", "amber"],
  problem: ["not up to date", "amber"],
};

/** How long nothing was heard of a run that goes on; 0 where nobody listens. */
function silence(model, connection) {
  const { head } = model;
  if (!head.open || !head.news_ms || connection.state === "file") return 0;
  return Math.max(0, (Date.now() + model.skew - head.news_ms) / 1000);
}

/** The badge in the head of the page: its text and its look. */
export function badgeOf(model, connection, following) {
  const { head } = model;
  let [text, look] = [head.status, head.look];
  if (head.open && head.look === "stale") {
    const minutes = Math.max(1, Math.floor(silence(model, connection) / 60));
    [text, look] = [connection.state === "file" ? "no news" : `no news for ${duration(60 * minutes)}`, "amber"];
  } else if (head.open && CONNECTIONS[connection.state]) {
    [text, look] = CONNECTIONS[connection.state];
    if (following && connection.state === "live") text = "following";
  }
  return { label: text.charAt(0).toUpperCase() + text.slice(1), look };
}

/** The line at the foot of the page. */
export function newsOf(model, connection) {
  const { head } = model;
  const silent = silence(model, connection);
  const heard = head.open && head.news_ms && connection.state !== "file";
  const last = silent < 1 ? "Last news just now" : `Last news ${duration(Math.floor(silent))} ago`;
  return [
    connection.message || (heard && last),
    head.hidden && `${plural(head.hidden, "span")} of libraries not drawn`,
    head.dangling && `${plural(head.dangling, "edge")} to what is not here`,
  ]
    .filter(Boolean)
    .join(" · ");
}
