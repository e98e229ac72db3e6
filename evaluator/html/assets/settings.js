"use strict";
/* Language and theme: chosen by the system until somebody chooses otherwise, and remembered then. */

const settings = (() => {
  const LANGUAGES = ["en", "ko"];
  const listeners = [];

  // A browser may forbid file:// pages to remember anything; then a choice lasts as long as the page.
  function remembered(name) {
    try {
      return localStorage.getItem(`ocr-report-${name}`);
    } catch {
      return null;
    }
  }

  function remember(name, value) {
    try {
      localStorage.setItem(`ocr-report-${name}`, value);
    } catch {
      // Nothing is lost but the choice.
    }
  }

  const prefersDark = matchMedia("(prefers-color-scheme: dark)");
  let language = remembered("language") || (navigator.language.startsWith("ko") ? "ko" : "en");
  let theme = remembered("theme");

  function applyTheme() {
    document.documentElement.dataset.theme = theme || (prefersDark.matches ? "dark" : "light");
  }

  function switchTheme() {
    theme = document.documentElement.dataset.theme === "dark" ? "light" : "dark";
    remember("theme", theme);
    applyTheme();
  }

  /* The string of a key in the language chosen; {0}, {1}, … are replaced by what follows. */
  function t(key, ...values) {
    const text = REPORT.strings[key][LANGUAGES.indexOf(language)];
    return values.reduce((filled, value, place) => filled.replace(`{${place}}`, () => value), text);
  }

  /* Why a page failed, in the language chosen; the evaluator says it in English, with sizes in the place of {0}, {1}. */
  function reason(said) {
    for (const key of Object.keys(REPORT.strings).filter((each) => each.startsWith("reason."))) {
      const parts = REPORT.strings[key][0].split(/\{\d\}/).map((part) => part.replace(/[.*+?^${}()|[\]\\]/g, "\\$&"));
      const found = said.match(new RegExp(`^${parts.join("(\\S+)")}$`));
      if (found) return t(key, ...found.slice(1));
    }
    return said;
  }

  function applyLanguage(root = document) {
    document.documentElement.lang = language;
    for (const node of root.querySelectorAll("[data-reason]")) node.textContent = reason(node.dataset.reason);
    for (const node of root.querySelectorAll("[data-t]")) node.textContent = t(node.dataset.t);
    for (const node of root.querySelectorAll("[data-t-title]")) node.title = t(node.dataset.tTitle);
    for (const node of root.querySelectorAll("[data-t-placeholder]")) node.placeholder = t(node.dataset.tPlaceholder);
    for (const node of root.querySelectorAll("[data-t-label]")) {
      node.setAttribute("aria-label", t(node.dataset.tLabel));
      if (node.tagName === "BUTTON") node.title = t(node.dataset.tLabel);
    }
  }

  function switchLanguage() {
    language = language === "ko" ? "en" : "ko";
    remember("language", language);
    applyLanguage();
    for (const listener of listeners) listener();
  }

  prefersDark.addEventListener("change", applyTheme);
  applyTheme();
  return { t, reason, applyLanguage, switchLanguage, switchTheme, onLanguage: (listener) => listeners.push(listener) };
})();

const t = settings.t;
