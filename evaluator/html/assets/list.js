"use strict";
/* The list of pages: sorted by any column, filtered, and the order in which the page view goes through them. */

const list = (() => {
  const CHUNK = 100; // rows made at once; the next ones when the end comes into view
  let sort = { column: "number", falling: false };
  let shown = store.pages;
  let made = 0;

  /* name -> {value to sort by, cell's text}; columns of figures belong to a system. */
  function columns() {
    const chosen = (name) => (page) => page.systems[app.state.system][name];
    return [
      { name: "number", title: t("page"), value: (page) => page.number },
      { name: "category", title: t("group.category"), value: (page) => page.category },
      { name: "num_words", title: t("words_column"), value: (page) => page.num_words, numeric: true },
      ...REPORT.systems.map((system, number) => ({
        name: `f1-${number}`, title: system, note: "F1", share: true, value: (page) => page.systems[number].f1,
      })),
      { name: "cer", title: "CER", value: chosen("cer"), numeric: true, digits: 3 },
      ...["right", "wrong", "missed", "false"].map((fate) => ({
        name: fate, title: t(`fate.${fate}`), fate, value: chosen(fate), numeric: true,
      })),
    ];
  }

  function matches(page) {
    const row = page.systems[app.state.system];
    const errors = row.wrong + row.missed + row.false;
    const wanted = $("list-search").value.trim().toLowerCase();
    const category = $("list-category").value;
    const states = { errors: errors > 0, clean: errors === 0 && !page.failure, failed: page.failure !== "" };
    return (
      (!wanted || `${page.key}\n${page.category}\n${page.failure}`.toLowerCase().includes(wanted)) &&
      (!category || page.category === category) &&
      (states[$("list-state").value] ?? true)
    );
  }

  /* Pages without a figure come last, whichever way it is sorted. */
  function compare(first, second, value) {
    const [a, b] = [value(first), value(second)];
    if (a === null || b === null) return (a === null) - (b === null) || first.number - second.number;
    const order = typeof a === "string" ? a.localeCompare(b, "ko") : a - b;
    return (sort.falling ? -order : order) || first.number - second.number;
  }

  function update() {
    const { value } = columns().find((column) => column.name === sort.column);
    shown = store.pages.filter(matches).sort((first, second) => compare(first, second, value));
    made = 0;
    $("list-body").replaceChildren();
    $("list-count").textContent = t("of_pages", count(shown.length), count(store.pages.length));
    drawHead();
    drawMore();
  }

  function drawHead() {
    const cells = columns().map((column) => {
      const sorted = column.name === sort.column;
      const button = element("button", { type: "button", onclick: () => sortBy(column.name) }, ...breakable(column.title));
      if (column.fate) button.prepend(element("i", { className: `swatch ${column.fate}` }));
      if (column.note) button.append(" ", element("small", {}, column.note));
      const arrow = sorted ? (sort.falling ? "▼" : "▲") : "";
      button.append(element("span", { className: "arrow", "aria-hidden": "true" }, arrow));
      const cell = element("th", { scope: "col", className: column.numeric ? "number" : "" }, button);
      cell.setAttribute("aria-sort", sorted ? (sort.falling ? "descending" : "ascending") : "none");
      cell.dataset.column = column.name;
      if (column.share && Number(column.name.slice(3)) === app.state.system) cell.classList.add("chosen");
      return cell;
    });
    $("list-head").replaceChildren(element("th", { scope: "col", "aria-label": t("thumbnail") }), ...cells);
  }

  /* A system's name may be broken after each "+": it is the widest thing in the table. */
  function breakable(title) {
    return title.split(/(?<=\+)/).flatMap((part, place) => (place ? [element("wbr"), part] : [part]));
  }

  function sortBy(column) {
    // What is looked for first: the worst pages, so the lowest F1 but the most errors.
    const rising = ["number", "category"].includes(column) || column.startsWith("f1-");
    sort = sort.column === column ? { column, falling: !sort.falling } : { column, falling: !rising };
    update();
    document.querySelector(`#list-head [data-column="${column}"] button`).focus();
  }

  function drawMore() {
    const from = made, all = columns();
    made = Math.min(made + CHUNK, shown.length);
    $("list-body").append(...shown.slice(from, made).map((page) => row(page, all)));
    $("list-more").hidden = made === shown.length;
  }

  function row(page, all) {
    const link = element("a", { href: app.link({ view: "page", page: page.number }) }, page.key);
    const thumbnail = element("td", { className: "thumbnail" });
    if (!page.failure) {
      thumbnail.append(element("img", { loading: "lazy", alt: "", width: 40, height: 56, src: store.thumbnail(page.number) }));
    }
    const made = element("tr", { onclick: (event) => event.target.closest("a") || link.click() }, thumbnail);
    for (const column of all) {
      const cell = element("td", { className: column.numeric ? "number" : "" });
      const value = column.value(page);
      if (column.name === "number") {
        cell.append(link);
        if (page.failure) cell.append(element("small", { className: "failure" }, `${t("failed")}: ${settings.reason(page.failure)}`));
      } else if (typeof value === "string") cell.append(value);
      else if (column.share) {
        const share = element("span", { className: "share" }, figure(value));
        share.style.setProperty("--share", value || 0);
        cell.append(share);
      } else cell.append(column.digits ? figure(value) : count(value));
      made.append(cell);
    }
    return made;
  }

  function start() {
    fillCategories($("list-category"));
    $("list-search").addEventListener("input", unhurried(update));
    $("list-category").addEventListener("change", update);
    $("list-state").addEventListener("change", update);
    new IntersectionObserver((entries) => entries.some((entry) => entry.isIntersecting) && drawMore(), {
      rootMargin: "600px",
    }).observe($("list-more"));
    update();
  }

  function show(state) {
    if (state === $("list-state").value) return;
    $("list-state").value = state;
    update();
  }

  /* The page `step` further in the list as it is sorted and filtered; null at its ends. */
  function neighbor(page, step) {
    const place = shown.findIndex((other) => other.number === page);
    // A page that the filter hides is stepped from to where the list begins.
    const next = place < 0 ? 0 : place + step;
    return shown[next] ? shown[next].number : null;
  }

  const place = (page) => [shown.findIndex((other) => other.number === page) + 1, shown.length];

  return { start, show, update, neighbor, place };
})();
