"use strict";
/* The keyboard. Letters go by their place (`code`), so that they work while a Korean input method is on. */

const keys = (() => {
  const FATES = ["right", "wrong", "missed", "false", "ignored"];

  const everywhere = {
    KeyO: () => app.go({ view: "overview" }),
    KeyL: () => app.go({ view: "list" }),
    KeyW: () => app.go({ view: "words" }),
    KeyD: settings.switchTheme,
    KeyK: settings.switchLanguage,
    KeyS: () => app.choose((app.state.system + 1) % REPORT.systems.length),
  };

  const onPage = {
    ArrowLeft: () => app.turn(-1),
    ArrowRight: () => app.turn(1),
    KeyR: () => viewer.toggle("reference"),
    KeyP: () => viewer.toggle("prediction"),
    KeyT: () => viewer.toggle("texts"),
    Escape: () => app.go(app.state.word ? { word: null } : { view: "list" }),
  };

  function actionOf(event) {
    if (event.key === "?") return openHelp;
    if (app.state.view === "page") {
      if (event.code === "KeyN") return () => viewer.stepError(event.shiftKey ? -1 : 1);
      if (event.key === "+" || event.key === "=") return () => stage.zoom(1.25);
      if (event.key === "-") return () => stage.zoom(0.8);
      if (event.key === "0") return stage.fit;
      if (FATES[event.key - 1]) return () => viewer.toggle(FATES[event.key - 1]);
      if (onPage[event.code]) return onPage[event.code];
    }
    return everywhere[event.code];
  }

  function openHelp() {
    $("help").showModal();
  }

  function onKey(event) {
    const typing = event.target.matches?.("input, select, textarea");
    if (typing || event.ctrlKey || event.metaKey || event.altKey || $("help").open) return;
    const action = actionOf(event);
    if (!action) return;
    event.preventDefault();
    action();
  }

  return { start: () => document.addEventListener("keydown", onKey), openHelp };
})();
