"use strict";
/* One page: the scan, the boxes of both sides over it, and what one system made of every word. */

const viewer = (() => {
  const ERRORS = ["wrong", "missed", "false"];
  const layers = { texts: false };
  let current = null; // {page, system, data, items, errors}
  let selected = null; // an item, or null

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
      stage.open(data);
    }
    const { f1 } = store.pages[page].systems[system];
    const [place, length] = list.place(page);
    $("page-facts").textContent = [store.pages[page].category, `F1 ${figure(f1)}`, `${place || "–"} / ${length}`].join(" · ");
    showFailure(failure && `${t("failed")}: ${settings.reason(failure)}. ${t("failed_page")}`);
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
    const number = count(current.errors.length);
    $("error-count").textContent = place ? t("errors_of", place, number) : t("num_errors", number);
    $("details").replaceChildren(...(item ? details(item) : [element("p", { className: "muted" }, t("pick_a_word"))]));
    if (!item) return;
    $("boxes").querySelector(`[data-id="${item.id}"]`).classList.add("selected");
    if (look) stage.lookAt(hull(item));
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

  function itemAt(event) {
    const id = document.elementFromPoint(event.clientX, event.clientY)?.dataset?.id;
    return (current && id && current.items.find((item) => item.id === id)) || null;
  }

  function onClick(event) {
    if (!current) return;
    // Selected before the address says so, and therefore not jumped to: it is under the pointer.
    select(itemAt(event), false);
    app.go({ word: selected && selected.id });
  }

  function showTip(event) {
    const item = event && itemAt(event);
    const tip = $("tip");
    tip.hidden = !item;
    if (!item) return;
    const { clientWidth, clientHeight } = $("stage");
    tip.replaceChildren(...details(item));
    const [x, y] = stage.placeOf(event);
    tip.style.left = `${Math.max(0, Math.min(x + 14, clientWidth - tip.offsetWidth - 4))}px`;
    // Below the pointer where there is room, else above it.
    const below = y + 18 + tip.offsetHeight < clientHeight;
    tip.style.top = `${Math.max(0, below ? y + 18 : y - tip.offsetHeight - 10)}px`;
  }

  function toggle(layer) {
    layers[layer] = !(layers[layer] ?? true);
    document.querySelector(`[data-layer="${layer}"]`).setAttribute("aria-pressed", layers[layer]);
    $("stage").classList.toggle(`hide-${layer}`, !layers[layer]);
  }

  function start() {
    stage.start(onClick, showTip);
    $("stage").classList.add("hide-texts");
    for (const button of document.querySelectorAll("[data-layer]")) {
      button.addEventListener("click", () => toggle(button.dataset.layer));
    }
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

  return { start, show, toggle, stepError, sameWord, retranslate };
})();
