"use strict";
/* What is shown is what the address says after "#": going back, reloading and sending a link all work. */

const app = (() => {
  const VIEWS = ["overview", "list", "page", "words"];
  const state = { view: "overview", page: 0, system: 0, word: null };

  /* The address of the state with some changes; leaves out what is as at the start. */
  function link(changes) {
    const { view, page, system, word } = { ...state, word: null, ...changes };
    const query = new URLSearchParams({ view });
    if (view === "page") query.set("page", page);
    if (system !== startSystem) query.set("system", system);
    if (view === "page" && word) query.set("word", word);
    return `#${query}`;
  }

  function go(changes) {
    const kept = changes.page === undefined && changes.view === undefined;
    const to = link(kept ? { word: state.word, ...changes } : { ...(changes.page !== undefined && { view: "page" }), ...changes });
    // Going from word to word leaves no trail to go back through.
    if (kept) history.replaceState(null, "", to);
    else history.pushState(null, "", to);
    read();
  }

  function turn(step) {
    const next = list.neighbor(state.page, step);
    if (next !== null) go({ page: next });
  }

  /* Another system, and the same word in it. */
  function choose(system) {
    go({ system, word: viewer.sameWord() });
  }

  /* An address may have been written by hand: whatever is unknown is as at the start. */
  function read() {
    const query = new URLSearchParams(location.hash.slice(1));
    const number = (name, end, otherwise) => {
      const value = Number(query.get(name) ?? NaN);
      return Number.isInteger(value) && value >= 0 && value < end ? value : otherwise;
    };
    const before = { ...state };
    state.view = VIEWS.includes(query.get("view")) ? query.get("view") : "overview";
    state.page = number("page", store.pages.length, before.page);
    state.system = number("system", REPORT.systems.length, startSystem);
    state.word = query.get("word");
    show(before, query.get("state"));
  }

  function show(before, listState) {
    const { view, system } = state;
    for (const name of VIEWS) $(`view-${name}`).hidden = name !== view;
    for (const anchor of document.querySelectorAll("nav a")) {
      // A page is a part of the list.
      anchor.href = link({ view: anchor.dataset.view });
      const current = anchor.dataset.view === (view === "page" ? "list" : view);
      anchor.setAttribute("aria-current", current ? "page" : "false");
    }
    if (before.view !== view) scrollTo(0, 0);
    $("system").value = system;
    for (const part of document.querySelectorAll("[data-system]")) part.hidden = Number(part.dataset.system) !== system;
    if (before.system !== system) list.update();
    if (view === "list" && listState !== null) list.show(listState);
    if (view === "page") viewer.show();
    if (view === "words") words.show();
    document.title = view === "page" ? store.pages[state.page].key : t("title");
  }

  function retranslate() {
    list.update();
    words.update();
    viewer.retranslate();
  }

  const startSystem = REPORT.first_shown;

  function start() {
    settings.applyLanguage();
    settings.onLanguage(retranslate);
    state.system = startSystem;
    for (const part of [list, words, viewer, keys]) part.start();
    const actions = {
      "previous-page": () => turn(-1), "next-page": () => turn(1),
      "previous-error": () => viewer.stepError(-1), "next-error": () => viewer.stepError(1),
      "zoom-in": () => stage.zoom(1.25), "zoom-out": () => stage.zoom(0.8), fit: stage.fit,
    };
    for (const button of document.querySelectorAll("[data-action]")) {
      button.addEventListener("click", actions[button.dataset.action]);
    }
    $("system").addEventListener("change", () => choose(Number($("system").value)));
    $("language").addEventListener("click", settings.switchLanguage);
    $("theme").addEventListener("click", settings.switchTheme);
    $("open-help").addEventListener("click", keys.openHelp);
    addEventListener("hashchange", read);
    read();
  }

  return { state, start, go, link, turn, choose };
})();

app.start();
