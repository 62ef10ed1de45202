// Making elements. Every string of a run becomes a text node or an attribute: nothing here parses markup.

const SVG = "http://www.w3.org/2000/svg";

/** An element: `h("div", {class: "x", onclick: f}, "text", child)`. What is null, undefined or false is left out. */
export function h(tag, attributes, ...children) {
  return fill(document.createElement(tag), attributes, children);
}

/** The same for SVG. */
export function svg(tag, attributes, ...children) {
  return fill(document.createElementNS(SVG, tag), attributes, children);
}

/** Put an element at a place; positions are styles set by script, so that the page allows none in its markup. */
export function place(element, left, top, width, height) {
  const style = element.style;
  style.left = `${left}px`;
  if (top !== undefined) style.top = `${top}px`;
  if (width !== undefined) style.width = `${width}px`;
  if (height !== undefined) style.height = `${height}px`;
  return element;
}

export const byId = (id) => document.getElementById(id);

function fill(element, attributes, children) {
  for (const [name, value] of Object.entries(attributes ?? {})) {
    if (value === null || value === undefined || value === false) continue;
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else element.setAttribute(name, value === true ? "" : value);
  }
  for (const child of children.flat(3)) {
    if (child !== null && child !== undefined && child !== false) element.append(child);
  }
  return element;
}
