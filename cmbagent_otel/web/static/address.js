// What the reader looks at is all in the address: a copied link shows the same, and Back goes back.

const LISTS = ["open"];
const TEXTS = ["view", "node", "q", "agent", "status", "kind", "min", "dollars", "t"];
const FLAGS = ["old", "heat", "others", "follow"];

/** The state: an object with every name above, and `open` a set. */
export function read(search = location.search) {
  const query = new URLSearchParams(search);
  const state = {};
  for (const name of TEXTS) state[name] = query.get(name) ?? "";
  for (const name of FLAGS) state[name] = query.get(name) ?? "";
  for (const name of LISTS) state[name] = new Set((query.get(name) ?? "").split(",").filter(Boolean));
  if (state.view !== "tree") state.view = "map";
  return state;
}

/** Write the state. A choice of another node is a place to come back to; the rest only changes the place. */
export function write(state, { step = false } = {}) {
  const query = new URLSearchParams(location.search);
  for (const name of [...TEXTS, ...FLAGS]) set(query, name, state[name]);
  if (state.view === "map") query.delete("view");
  for (const name of LISTS) set(query, name, [...state[name]].join(","));
  const text = query.toString().replaceAll("%2C", ",");
  const url = text ? `?${text}` : location.pathname;
  if (url === location.search || (!text && !location.search)) return;
  // A page from a file has no history to write to in some browsers; the state then lives in the page alone.
  try {
    history[step ? "pushState" : "replaceState"](null, "", url);
  } catch {
    // as said
  }
}

function set(query, name, value) {
  if (value) query.set(name, value);
  else query.delete(name);
}
