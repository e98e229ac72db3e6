"use strict";
/* Elements, numbers and texts. Data reach the page as text nodes and properties only, never as HTML. */

const $ = (id) => document.getElementById(id);

function element(name, properties = {}, ...children) {
  const made = document.createElement(name);
  for (const [property, value] of Object.entries(properties)) {
    if (property.includes("-")) made.setAttribute(property, value);
    else made[property] = value;
  }
  made.append(...children);
  return made;
}

function shape(name, attributes) {
  const made = document.createElementNS("http://www.w3.org/2000/svg", name);
  for (const [attribute, value] of Object.entries(attributes)) made.setAttribute(attribute, value);
  return made;
}

const figure = (value, digits = 3) => (value === null ? "–" : value.toFixed(digits));
const count = (value) => value.toLocaleString("en");

const MAX_ALIGNED = 1e6; // characters of one text times those of the other

/* Which characters of two texts are the same, along one cheapest way of edits: two lists of [character, same]. */
function aligned(reference, prediction) {
  const from = Array.from(reference), to = Array.from(prediction);
  // Pages of text in one word would keep the browser busy for seconds.
  if (from.length * to.length > MAX_ALIGNED) return [from, to].map((text) => text.map((character) => [character, false]));
  const cost = Array.from({ length: from.length + 1 }, (_, i) => new Array(to.length + 1).fill(i));
  for (let j = 0; j <= to.length; j++) cost[0][j] = j;
  for (let i = 1; i <= from.length; i++) {
    for (let j = 1; j <= to.length; j++) {
      const changed = from[i - 1] === to[j - 1] ? 0 : 1;
      cost[i][j] = Math.min(cost[i - 1][j - 1] + changed, cost[i - 1][j] + 1, cost[i][j - 1] + 1);
    }
  }
  const left = [], right = [];
  let i = from.length, j = to.length;
  while (i > 0 || j > 0) {
    const same = i > 0 && j > 0 && from[i - 1] === to[j - 1];
    if (i > 0 && j > 0 && cost[i][j] === cost[i - 1][j - 1] + (same ? 0 : 1)) {
      left.unshift([from[--i], same]);
      right.unshift([to[--j], same]);
    } else if (i > 0 && cost[i][j] === cost[i - 1][j] + 1) left.unshift([from[--i], false]);
    else right.unshift([to[--j], false]);
  }
  return [left, right];
}

/* A text with its wrong characters marked; blanks among those are made visible. */
function marked(characters) {
  const text = element("span", { className: "text" });
  for (const [character, same] of characters) {
    text.append(same ? character : element("mark", {}, character === " " ? "␣" : character));
  }
  if (!characters.length) text.append(element("i", { className: "muted" }, t("no_text")));
  return text;
}

const plain = (text) => marked(Array.from(text, (character) => [character, true]));

/* Wait until nobody has typed for a moment. */
function unhurried(action) {
  let timer;
  return () => {
    clearTimeout(timer);
    timer = setTimeout(action, 120);
  };
}

function fillCategories(select) {
  for (const category of store.categories) select.append(element("option", { value: category }, category));
}
