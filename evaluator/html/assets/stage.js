"use strict";
/* Zoom and pan, by wheel, mouse and fingers. A point p of the page stands at p * scale + (x, y) on the stage. */

const stage = (() => {
  const MIN_SCALE = 0.05, MAX_SCALE = 8;
  const READABLE_PIXELS = 40; // a word that is jumped to is at least so high on the screen
  const CLOSEST_LOOK = 2; // but the page is at most so many stages wide: a dot needs its surroundings
  const CLICK_PIXELS = 4; // a pointer that moved further was a drag
  const pointers = new Map();
  let page = { width: 1, height: 1 };
  let view = { scale: 1, x: 0, y: 0 };
  let fitted = true; // until somebody zooms, the page follows the window's size
  let dragged = 0;

  function move(to, fits = false) {
    view = to;
    fitted = fits;
    // Sizes, not a scaling transform: lines keep their width, and the browser draws the scan at its best.
    $("sheet").style.width = `${page.width * view.scale}px`;
    $("sheet").style.height = `${page.height * view.scale}px`;
    $("sheet").style.transform = `translate(${view.x}px, ${view.y}px)`;
    $("zoom-level").textContent = `${Math.round(view.scale * 100)} %`;
  }

  /* Another page, which has another size. */
  function open({ width, height }) {
    page = { width, height };
    fit();
  }

  function fit() {
    const { clientWidth, clientHeight } = $("stage");
    const { width, height } = page;
    const scale = Math.min((clientWidth - 16) / width, (clientHeight - 16) / height);
    move({ scale, x: (clientWidth - width * scale) / 2, y: (clientHeight - height * scale) / 2 }, true);
  }

  /* Keeps the point (x, y) of the stage where it is. */
  function zoom(factor, x = $("stage").clientWidth / 2, y = $("stage").clientHeight / 2) {
    const scale = Math.min(MAX_SCALE, Math.max(MIN_SCALE, view.scale * factor));
    const grown = scale / view.scale;
    move({ scale, x: x - (x - view.x) * grown, y: y - (y - view.y) * grown });
  }

  function lookAt([x0, y0, x1, y1]) {
    const { clientWidth, clientHeight } = $("stage");
    const readable = Math.min(
      READABLE_PIXELS / Math.max(1, y1 - y0),
      (0.8 * clientWidth) / Math.max(1, x1 - x0),
      (CLOSEST_LOOK * clientWidth) / page.width,
    );
    const scale = Math.max(view.scale, readable);
    move({ scale, x: clientWidth / 2 - ((x0 + x1) / 2) * scale, y: clientHeight / 2 - ((y0 + y1) / 2) * scale });
  }

  /* Where on the stage something happened. */
  function placeOf({ clientX, clientY }) {
    const { left, top } = $("stage").getBoundingClientRect();
    return [clientX - left, clientY - top];
  }

  function onWheel(event) {
    event.preventDefault();
    zoom(Math.exp(-event.deltaY * 0.0015), ...placeOf(event));
  }

  function onPointerDown(event) {
    if (event.button !== 0) return;
    pointers.set(event.pointerId, event);
    $("stage").setPointerCapture(event.pointerId);
    dragged = 0;
  }

  const spread = ([a, b]) => Math.hypot(a.clientX - b.clientX, a.clientY - b.clientY);

  function onDrag(event) {
    const before = pointers.get(event.pointerId);
    const [dx, dy] = [event.clientX - before.clientX, event.clientY - before.clientY];
    const old = [...pointers.values()];
    pointers.set(event.pointerId, event);
    dragged += Math.abs(dx) + Math.abs(dy);
    // Two fingers: each moves the page by half, and their distance scales it.
    move({ ...view, x: view.x + dx / old.length, y: view.y + dy / old.length });
    if (old.length !== 2) return;
    const [a, b] = [...pointers.values()];
    const middle = { clientX: (a.clientX + b.clientX) / 2, clientY: (a.clientY + b.clientY) / 2 };
    zoom(spread([a, b]) / (spread(old) || 1), ...placeOf(middle));
  }

  /* `click` and `hover` are called with the event; `hover` with null where nothing is pointed at any more. */
  function start(click, hover) {
    const node = $("stage");
    node.addEventListener("wheel", onWheel, { passive: false });
    node.addEventListener("pointerdown", (event) => (hover(null), onPointerDown(event)));
    node.addEventListener("pointermove", (event) => (pointers.has(event.pointerId) ? onDrag : hover)(event));
    node.addEventListener("pointerup", (event) => {
      if (pointers.delete(event.pointerId) && dragged <= CLICK_PIXELS) click(event);
    });
    node.addEventListener("pointercancel", (event) => pointers.delete(event.pointerId));
    node.addEventListener("pointerleave", () => hover(null));
    node.addEventListener("dblclick", (event) => zoom(2, ...placeOf(event)));
    new ResizeObserver(() => fitted && node.clientWidth && fit()).observe(node);
  }

  return { start, open, fit, zoom, lookAt, placeOf };
})();
