"use strict";
/* The words read worst by the chosen system: what was seen, what was read, what it says. */

const words = (() => {
  const ORDERS = {
    edits: (word) => -word.edits,
    cer: (word) => -word.edits / (Array.from(word.reference_text).length || 1),
    confidence: (word) => -word.confidence,
    iou: (word) => word.iou,
  };
  let all = [];
  let drawn = null; // the system whose words stand there

  async function show() {
    const { system } = app.state;
    if (drawn === system) return;
    drawn = system;
    const loaded = await store.worst(system);
    // Another system may have been chosen meanwhile.
    if (drawn !== system) return;
    all = loaded;
    update();
  }

  function update() {
    const wanted = $("words-search").value.trim().toLowerCase();
    const category = $("words-category").value;
    const value = ORDERS[$("words-order").value];
    const shown = all
      .filter((word) => !category || store.pages[word.page].category === category)
      .filter((word) => !wanted || `${word.reference_text}\n${word.text}`.toLowerCase().includes(wanted))
      .sort((first, second) => value(first) - value(second));
    $("words-count").textContent = t("of_words", count(shown.length), count(all.length));
    $("cards").replaceChildren(...shown.map(card));
  }

  function card(word) {
    const [reference, prediction] = aligned(word.reference_text, word.text);
    const page = store.pages[word.page];
    const link = element("a", { href: app.link({ view: "page", page: word.page, word: `p${word.prediction}` }) });
    const patch = element("span", { className: "patch" });
    if (word.patch && !page.failure) patch.append(element("img", { loading: "lazy", alt: "", src: store.patch(word) }));
    link.append(
      patch,
      element("span", { className: "pair" }, element("small", {}, t("reference")), marked(reference)),
      element("span", { className: "pair" }, element("small", {}, t("prediction")), marked(prediction)),
      element(
        "small",
        { className: "muted" },
        `${t("edits", count(word.edits))} · ${t("confidence")} ${figure(word.confidence, 2)} · IoU ${figure(word.iou, 2)}`,
        element("span", { className: "page" }, page.key),
      ),
    );
    return element("li", {}, link);
  }

  function start() {
    fillCategories($("words-category"));
    $("words-search").addEventListener("input", unhurried(update));
    $("words-category").addEventListener("change", update);
    $("words-order").addEventListener("change", update);
  }

  return { start, show, update };
})();
