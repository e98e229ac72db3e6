"use strict";
/* One page: the scan, the boxes of both sides over it, and what one system made of every word. */

const viewer = (() => {
  const ERRORS = ["wrong", "missed", "false"];
  const MIN_SCALE = 0.05, MAX_SCALE = 8;
  const READABLE_PIXELS = 40; // a word that is jumped to is at least so high on the screen
  const CLOSEST_LOOK = 2; // but the page is at most so many stages wide: a dot needs its surroundings
  const CLICK_PIXELS = 4; // a pointer that moved further was a drag
  const layers = { texts: false };
  const pointers = new Map();
  let current = null; // {page, system, data, items, errors}
  let selected = null; // an item, or null
  let view = { scale: 1, x: 0, y: 0 };
  let fitted = true; // until somebody zooms, the page follows the window's size
  let dragged = 0;

  async function show() {
    const { page, system, word } = app.state;
    $("page-title").textContent = store.pages[page].key;
    const turned = !current || current.page !== page;
    if (turned || current.system !== system) {
      let data;
      try {
        data = turned ? await store.words(page) : current.data;
      } catch (error) {
        return showNothing(t("cannot_load", error.message));
      }
      // Somebody may have gone on while the page was loading.
      if (app.state.page !== page || app.state.system !== system) return;
      const items = itemsOf(data, system);
      current = { page, system, data, items, errors: inReadingOrder(items.filter((item) => item.error)) };
      draw(turned);
    }
    select(current.items.find((item) => item.id === word) || null, turned || word !== selected?.id);
    for (const step of [1, -1]) {
      const next = list.neighbor(page, step);
      if (next !== null) store.prefetch(next);
    }
  }

  /* Every box as {id, side, fate, error, corners, reference, prediction}; the last two are words or null. */
  function itemsOf(data, system) {
    const { fates, words } = data.systems[system];
    const readAs = new Map(words.filter((word) => word.reference !== null).map((word) => [word.reference, word]));
    const references = data.references.map((word, number) => ({
      id: `r${number}`, side: "reference", fate: fates[number], error: fates[number] === "missed",
      corners: word.corners, reference: word, prediction: readAs.get(number) || null, number,
    }));
    const predictions = words.map((word, number) => ({
      id: `p${number}`, side: "prediction", fate: word.fate, error: ["wrong", "false"].includes(word.fate),
      corners: word.corners, reference: word.reference === null ? null : data.references[word.reference],
      prediction: word, number: word.reference,
    }));
    return [...references, ...predictions];
  }

  function hull({ corners }) {
    const xs = corners.filter((_, place) => place % 2 === 0), ys = corners.filter((_, place) => place % 2 === 1);
    return [Math.min(...xs), Math.min(...ys), Math.max(...xs), Math.max(...ys)];
  }

  /* Line by line: a word whose middle lies above the line's lower edge is on that line. */
  function inReadingOrder(items) {
    const boxes = items.map((item) => ({ item, box: hull(item) })).sort((a, b) => a.box[1] - b.box[1]);
    let line = -1, bottom = -Infinity;
    for (const entry of boxes) {
      const [, top, , low] = entry.box;
      if ((top + low) / 2 > bottom) [line, bottom] = [line + 1, low];
      entry.line = line;
    }
    return boxes.sort((a, b) => a.line - b.line || a.box[0] - b.box[0]).map(({ item }) => item);
  }

  function points(corners) {
    if (corners.length === 8) return corners.join(" ");
    const [x0, y0, x1, y1] = corners;
    return `${x0} ${y0} ${x1} ${y0} ${x1} ${y1} ${x0} ${y1}`;
  }

  function draw(turned) {
    const { page, system, data, items } = current;
    const { failure } = store.pages[page];
    $("boxes").setAttribute("viewBox", `0 0 ${data.width} ${data.height}`);
    const area = new Map(items.map((item) => {
      const [x0, y0, x1, y1] = hull(item);
      return [item, (x1 - x0) * (y1 - y0)];
    }));
    // Small boxes last, so that they can be pointed at inside large ones.
    const sorted = [...items].sort((a, b) => area.get(b) - area.get(a));
    $("boxes").replaceChildren(
      ...sorted.map((item) => {
        const box = shape("polygon", { points: points(item.corners), class: `box ${item.side} ${item.fate}` });
        box.dataset.id = item.id;
        return box;
      }),
      ...sorted.filter((item) => item.side === "prediction" || item.fate === "missed").map(label),
    );
    if (turned) {
      $("scan").hidden = !data.scan;
      if (data.scan) $("scan").src = store.scan(page);
      else $("scan").removeAttribute("src");
      fit();
    }
    const { f1 } = store.pages[page].systems[system];
    const [place, length] = list.place(page);
    $("page-facts").textContent = [store.pages[page].category, `F1 ${figure(f1)}`, `${place || "–"} / ${length}`].join(" · ");
    showFailure(failure && `${t("failed")}: ${failure}. ${t("failed_page")}`);
    drawCounts();
    drawErrors();
  }

  function label(item) {
    const [x0, y0, , y1] = hull(item);
    const size = Math.min(60, Math.max(10, (y1 - y0) * 0.5));
    const made = shape("text", { x: x0, y: y0 - size * 0.12, "font-size": size, class: `label ${item.side} ${item.fate}` });
    made.textContent = (item.prediction || item.reference).text;
    return made;
  }

  function drawCounts() {
    const row = store.pages[current.page].systems[current.system];
    for (const fate of ["right", ...ERRORS]) $(`count-${fate}`).textContent = count(row[fate]);
    const ignored = current.items.filter((item) => item.fate === "ignored").length;
    $("count-ignored").textContent = count(ignored);
    document.querySelector("[data-layer=ignored]").hidden = !ignored;
  }

  function drawErrors() {
    $("errors").replaceChildren(...current.errors.map((item) => {
      const button = element("button", { type: "button", onclick: () => app.go({ word: item.id }) });
      button.append(element("i", { className: `swatch ${item.fate}` }), ...texts(item));
      const made = element("li", {}, button);
      made.dataset.id = item.id;
      return made;
    }));
  }

  function texts({ reference, prediction, fate }) {
    if (fate === "missed") return [plain(reference.text)];
    if (!reference) return [plain(prediction.text)];
    const [left, right] = aligned(reference.text, prediction.text);
    return [marked(left), " → ", marked(right)];
  }

  function showNothing(reason) {
    current = null;
    for (const part of ["boxes", "errors", "details"]) $(part).replaceChildren();
    $("scan").hidden = true;
    showFailure(reason);
  }

  function showFailure(message) {
    $("page-failure").hidden = !message;
    $("page-failure").textContent = message;
  }

  /* Mark an item, say all about it and, with `look`, bring it into view. */
  function select(item, look) {
    // A matched reference is the same word as its prediction, which is in the list of errors.
    if (item?.side === "reference" && item.prediction) {
      item = current.items.find((other) => other.side === "prediction" && other.prediction === item.prediction);
    }
    selected = item;
    for (const box of $("boxes").querySelectorAll(".selected")) box.classList.remove("selected");
    for (const row of $("errors").children) {
      const chosen = row.dataset.id === item?.id;
      row.firstChild.setAttribute("aria-current", chosen);
      if (chosen) row.scrollIntoView({ block: "nearest" });
    }
    const place = current.errors.indexOf(item) + 1;
    $("error-count").textContent = t("errors_of", place || "–", count(current.errors.length));
    $("details").replaceChildren(...(item ? details(item) : [element("p", { className: "muted" }, t("pick_a_word"))]));
    if (!item) return;
    $("boxes").querySelector(`[data-id="${item.id}"]`).classList.add("selected");
    if (look) lookAt(item);
  }

  function details(item) {
    const { reference, prediction, fate } = item;
    const rows = [];
    const add = (name, ...content) => rows.push(element("dt", {}, name), element("dd", {}, ...content));
    if (reference && prediction) {
      const [left, right] = aligned(reference.text, prediction.text);
      add(t("reference"), marked(left));
      add(t("prediction"), marked(right));
      add(t("edits_title"), count(prediction.edits));
      add("IoU", figure(prediction.iou));
    } else if (reference) add(t("reference"), plain(reference.text));
    else add(t("prediction"), plain(prediction.text));
    if (prediction) add(t("confidence"), figure(prediction.confidence));
    for (const [number, name] of REPORT.systems.entries()) {
      // What the other systems read there.
      if (number === current.system || item.number === null) continue;
      const other = current.data.systems[number].words.find((word) => word.reference === item.number);
      add(name, ...(other ? [marked(aligned(reference.text, other.text)[1])] : [element("i", {}, t("fate.missed"))]));
    }
    const title = element("h2", {}, element("i", { className: `swatch ${fate}` }), t(`fate.${fate}`));
    return [title, element("dl", {}, ...rows)];
  }

  /* The error `step` further; past the last one of a page, the first one of the next page that has any. */
  function stepError(step) {
    if (!current) return;
    const { errors, page, system } = current;
    const at = errors.indexOf(selected);
    const next = at < 0 ? (step > 0 ? 0 : errors.length - 1) : at + step;
    if (errors[next]) return app.go({ word: errors[next].id });
    let other = list.neighbor(page, step);
    while (other !== null) {
      const row = store.pages[other].systems[system];
      if (row.wrong + row.missed + row.false) return openAtError(other, step);
      other = list.neighbor(other, step);
    }
  }

  async function openAtError(page, step) {
    const items = itemsOf(await store.words(page), app.state.system);
    app.go({ page, word: inReadingOrder(items.filter((item) => item.error)).at(step > 0 ? 0 : -1).id });
  }

  // ---- zoom and pan: a point p of the page stands at p * scale + (x, y) on the stage ----

  function apply() {
    const { width, height } = current.data;
    // Sizes, not a scaling transform: lines keep their width, and the browser draws the scan at its best.
    $("sheet").style.width = `${width * view.scale}px`;
    $("sheet").style.height = `${height * view.scale}px`;
    $("sheet").style.transform = `translate(${view.x}px, ${view.y}px)`;
    $("zoom-level").textContent = `${Math.round(view.scale * 100)} %`;
  }

  function fit() {
    const { clientWidth, clientHeight } = $("stage");
    const { width, height } = current.data;
    const scale = Math.min((clientWidth - 16) / width, (clientHeight - 16) / height);
    view = { scale, x: (clientWidth - width * scale) / 2, y: (clientHeight - height * scale) / 2 };
    fitted = true;
    apply();
  }

  function zoom(factor, x = $("stage").clientWidth / 2, y = $("stage").clientHeight / 2) {
    const scale = Math.min(MAX_SCALE, Math.max(MIN_SCALE, view.scale * factor));
    const grown = scale / view.scale;
    view = { scale, x: x - (x - view.x) * grown, y: y - (y - view.y) * grown };
    fitted = false;
    apply();
  }

  function lookAt(item) {
    const { clientWidth, clientHeight } = $("stage");
    const [x0, y0, x1, y1] = hull(item);
    const readable = Math.min(
      READABLE_PIXELS / Math.max(1, y1 - y0),
      (0.8 * clientWidth) / Math.max(1, x1 - x0),
      (CLOSEST_LOOK * clientWidth) / current.data.width,
    );
    const scale = Math.max(view.scale, readable);
    view = { scale, x: clientWidth / 2 - ((x0 + x1) / 2) * scale, y: clientHeight / 2 - ((y0 + y1) / 2) * scale };
    fitted = false;
    apply();
  }

  function itemAt(event) {
    const id = document.elementFromPoint(event.clientX, event.clientY)?.dataset?.id;
    return (current && id && current.items.find((item) => item.id === id)) || null;
  }

  function onWheel(event) {
    event.preventDefault();
    const { left, top } = $("stage").getBoundingClientRect();
    zoom(Math.exp(-event.deltaY * 0.0015), event.clientX - left, event.clientY - top);
  }

  function onPointerDown(event) {
    if (event.button !== 0) return;
    pointers.set(event.pointerId, event);
    $("stage").setPointerCapture(event.pointerId);
    dragged = 0;
    $("tip").hidden = true;
  }

  function onPointerMove(event) {
    const before = pointers.get(event.pointerId);
    if (!before) return showTip(event);
    const spread = () => {
      const [a, b] = [...pointers.values()];
      return Math.hypot(a.clientX - b.clientX, a.clientY - b.clientY);
    };
    const [dx, dy] = [event.clientX - before.clientX, event.clientY - before.clientY];
    const old = pointers.size === 2 ? spread() : 0;
    pointers.set(event.pointerId, event);
    dragged += Math.abs(dx) + Math.abs(dy);
    // Two fingers: each moves the page by half, and their distance scales it.
    view = { ...view, x: view.x + dx / pointers.size, y: view.y + dy / pointers.size };
    if (old) {
      const { left, top } = $("stage").getBoundingClientRect();
      const [a, b] = [...pointers.values()];
      zoom(spread() / old, (a.clientX + b.clientX) / 2 - left, (a.clientY + b.clientY) / 2 - top);
    } else {
      fitted = false;
      apply();
    }
  }

  function onPointerUp(event) {
    if (!pointers.delete(event.pointerId) || event.type !== "pointerup" || dragged > CLICK_PIXELS) return;
    // Selected before the address says so, and therefore not jumped to: it is under the pointer.
    if (!current) return;
    select(itemAt(event), false);
    app.go({ word: selected && selected.id });
  }

  function showTip(event) {
    const item = itemAt(event);
    $("tip").hidden = !item;
    if (!item) return;
    const { left, top, width, height } = $("stage").getBoundingClientRect();
    $("tip").replaceChildren(...details(item));
    const [x, y] = [event.clientX - left, event.clientY - top];
    $("tip").style.left = `${Math.max(0, Math.min(x + 14, width - $("tip").offsetWidth - 4))}px`;
    // Below the pointer where there is room, else above it.
    const below = y + 18 + $("tip").offsetHeight < height;
    $("tip").style.top = `${Math.max(0, below ? y + 18 : y - $("tip").offsetHeight - 10)}px`;
  }

  function toggle(layer) {
    layers[layer] = !(layers[layer] ?? true);
    document.querySelector(`[data-layer="${layer}"]`).setAttribute("aria-pressed", layers[layer]);
    $("stage").classList.toggle(`hide-${layer}`, !layers[layer]);
  }

  function start() {
    const stage = $("stage");
    stage.classList.add("hide-texts");
    stage.addEventListener("wheel", onWheel, { passive: false });
    stage.addEventListener("pointerdown", onPointerDown);
    stage.addEventListener("pointermove", onPointerMove);
    stage.addEventListener("pointerup", onPointerUp);
    stage.addEventListener("pointercancel", onPointerUp);
    stage.addEventListener("pointerleave", () => ($("tip").hidden = true));
    stage.addEventListener("dblclick", (event) => {
      const { left, top } = stage.getBoundingClientRect();
      zoom(2, event.clientX - left, event.clientY - top);
    });
    for (const button of document.querySelectorAll("[data-layer]")) {
      button.addEventListener("click", () => toggle(button.dataset.layer));
    }
    new ResizeObserver(() => current && fitted && stage.clientWidth && fit()).observe(stage);
  }

  /* The selected word's name in every system's view; null for a false one, which only this system has. */
  function sameWord() {
    return selected && selected.number !== null ? `r${selected.number}` : null;
  }

  /* Draw again what has words of the page's language in it. */
  function retranslate() {
    if (!current) return;
    draw(false);
    select(selected, false);
  }

  return { start, show, fit, zoom, toggle, stepError, sameWord, retranslate };
})();
