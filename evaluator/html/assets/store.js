"use strict";
/* The data: the list of pages at once, a page's words when they are asked for. A script tag is all that file:// allows. */

const store = (() => {
  const FOLDER = "html/";
  const MAX_KEPT = 40;
  const kept = new Map(); // name -> promise of its data, the one used last at the end
  const awaited = new Map(); // name -> the function that keeps the promise

  /* An array from the report with a name for each place. */
  function named(struct, values) {
    return Object.fromEntries(REPORT.places[struct].map((name, place) => [name, values[place]]));
  }

  const pages = REPORT.pages.map((values, number) => {
    const page = named("ListedPage", values);
    return { ...page, number, systems: page.systems.map((row) => named("ListedSystem", row)) };
  });

  /* Called by the scripts that `load` asks for. */
  function receive(name, data) {
    awaited.get(name)?.(data);
    awaited.delete(name);
  }

  function load(name) {
    const promise = kept.get(name) || request(name);
    kept.delete(name);
    kept.set(name, promise);
    if (kept.size > MAX_KEPT) kept.delete(kept.keys().next().value);
    return promise;
  }

  function request(name) {
    return new Promise((resolve, reject) => {
      const script = document.createElement("script");
      script.src = `${FOLDER}${name}.js`;
      script.charset = "utf-8";
      script.onload = () => script.remove();
      script.onerror = () => {
        script.remove();
        awaited.delete(name);
        kept.delete(name);
        reject(new Error(script.src));
      };
      awaited.set(name, resolve);
      document.head.append(script);
    });
  }

  const nameOf = (page) => String(page).padStart(5, "0");

  async function words(page) {
    const data = await load(`pages/${nameOf(page)}`);
    return {
      ...data,
      references: data.references.map((word) => named("ReferenceWord", word)),
      systems: data.systems.map((system) => ({
        // A fate is a place in REPORT.fates.
        fates: system.fates.map((fate) => REPORT.fates[fate]),
        words: system.words.map((values) => {
          const word = named("PredictedWord", values);
          return { ...word, fate: REPORT.fates[word.fate] };
        }),
      })),
    };
  }

  async function worst(system) {
    return (await load(`worst-${system}`)).map((word) => named("WorstWord", word));
  }

  return {
    pages,
    receive,
    words,
    worst,
    /* Load a page ahead of time; that it cannot be loaded is said when somebody looks at it. */
    prefetch: (page) => load(`pages/${nameOf(page)}`).catch(() => {}),
    categories: [...new Set(pages.map((page) => page.category))].sort(),
    scan: (page) => `${FOLDER}scans/${nameOf(page)}.jpg`,
    thumbnail: (page) => `${FOLDER}thumbnails/${nameOf(page)}.jpg`,
    patch: (word) => `${FOLDER}patches/${[nameOf(word.page), ...word.patch].join("-")}.jpg`,
  };
})();
