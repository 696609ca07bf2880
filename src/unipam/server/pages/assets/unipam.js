// What pages do beyond HTML: copying, keys, menus. Everything works without it, but for copying.
"use strict";
document.documentElement.classList.add("js");

(() => {
  const say = (text) => {
    const said = document.getElementById("said");
    if (!said) return;
    said.textContent = text;
    clearTimeout(say.timer);
    say.timer = setTimeout(() => { said.textContent = ""; }, 4000);
  };

  // The clipboard is for pages that came over TLS or from this machine; elsewhere the old way is all there is.
  const copy = async (text) => {
    if (navigator.clipboard && window.isSecureContext) return navigator.clipboard.writeText(text);
    const area = document.createElement("textarea");
    area.value = text;
    area.className = "unseen";
    document.body.append(area);
    area.select();
    const done = document.execCommand("copy");
    area.remove();
    if (!done) throw new Error("refused");
  };

  document.addEventListener("click", (event) => {
    const button = event.target.closest("[data-copy]");
    if (button) {
      copy(button.dataset.copy).then(() => say("Copied"), () => say("The browser does not let this page copy"));
      return;
    }
    const toggle = event.target.closest(".nav-toggle");
    if (toggle) {
      const open = document.getElementById("navigation").classList.toggle("open");
      toggle.setAttribute("aria-expanded", String(open));
    }
    for (const each of document.querySelectorAll("details.drop[open]")) {
      if (!each.contains(event.target)) each.open = false;
    }
  });

  const typing = (element) => element.closest("input:not([type=checkbox], [type=radio]), textarea, select, [contenteditable]") !== null;
  let going = false;

  const leave = () => {
    for (const each of document.querySelectorAll("details.drop[open]")) {
      each.open = false;
      each.querySelector("summary").focus();
    }
    const found = document.getElementById("found");
    if (found) found.replaceChildren();
  };

  // Within a table: up and down between rows, right and left open and shut one of the tree, x chooses, c copies.
  const handle = (row) => row.querySelector("th a, a, input[type=checkbox], button");
  const inTable = (row, key) => {
    if (key === "c") {
      const prefix = row.querySelector("th .code, th.code, .code");
      if (prefix) copy(prefix.innerText.trim().split("\n")[0]).then(() => say("Copied"), () => say("The browser does not let this page copy"));
    } else if (key === "x") {
      const box = row.querySelector("input[type=checkbox]");
      if (box) box.click();
    } else if (key === "ArrowRight" || key === "ArrowLeft") {
      const toggle = row.querySelector(".toggle");
      if (toggle && (toggle.getAttribute("aria-expanded") === "true") === (key === "ArrowLeft")) toggle.click();
    } else {
      const step = key === "ArrowDown" ? "nextElementSibling" : "previousElementSibling";
      let next = row[step];
      while (next && !handle(next)) next = next[step];
      if (next) handle(next).focus();
    }
  };

  // Within a drawing: to the nearest mark in the direction of the arrow, out with the backspace key.
  const WAYS = { ArrowRight: [1, 0], ArrowLeft: [-1, 0], ArrowDown: [0, 1], ArrowUp: [0, -1] };
  const middle = (element) => { const box = element.getBoundingClientRect(); return [box.x + box.width / 2, box.y + box.height / 2]; };
  const inDrawing = (mark, key) => {
    if (key === "Backspace") {
      const above = [...document.querySelectorAll(".crumbs a")].pop();
      if (above) above.click();
      return;
    }
    const [right, down] = WAYS[key];
    const [x, y] = middle(mark);
    let best = null;
    let least = Infinity;
    for (const each of document.querySelectorAll(".drawing a")) {
      const [dx, dy] = middle(each).map((value, axis) => value - [x, y][axis]);
      const ahead = dx * right + dy * down;
      const far = ahead + 4 * Math.abs(dx * down + dy * right);
      if (ahead > 1 && far < least) { best = each; least = far; }
    }
    if (best) best.focus();
  };

  const moves = (event) => {
    const row = event.target.closest("main tbody tr");
    const mark = event.target.closest(".drawing a");
    const known = row ? ["ArrowDown", "ArrowUp", "ArrowRight", "ArrowLeft", "c", "x"] : mark ? [...Object.keys(WAYS), "Backspace"] : [];
    if (!known.includes(event.key)) return;
    event.preventDefault();
    if (row) inTable(row, event.key);
    else inDrawing(mark, event.key);
  };

  // In the search field: down to what was found, up again to the field.
  const inSearch = (event) => {
    const links = [...document.querySelectorAll("#found a")];
    const place = links.indexOf(document.activeElement);
    if (!links.length || (place < 0 && (event.key === "ArrowUp" || event.target.id !== "search"))) return;
    event.preventDefault();
    const next = event.key === "ArrowDown" ? links[Math.min(place + 1, links.length - 1)] : links[place - 1];
    (next || document.getElementById("search")).focus();
  };

  // A form is sent once, however often its button is pressed: of two answers the browser shows only the second.
  document.addEventListener("submit", (event) => {
    const form = event.target;
    if (form.method !== "post") return;
    if (form.dataset.sent) event.preventDefault();
    form.dataset.sent = "yes";
    setTimeout(() => { delete form.dataset.sent; }, 5000);
  });

  const follow = (link, event) => { if (link) { event.preventDefault(); link.click(); } };

  const KEYS = {
    "/": (event) => {
      const search = document.getElementById("search");
      if (search) { event.preventDefault(); search.focus(); search.select(); }
    },
    "g": () => { going = true; setTimeout(() => { going = false; }, 1500); },
    "n": (event) => follow(document.querySelector("main a[data-new]"), event),
    "?": () => {
      const dialog = document.getElementById("keys");
      if (dialog) window.htmx.ajax("GET", "/keys", { target: "#keys", swap: "innerHTML" }).then(() => dialog.open || dialog.showModal());
    },
  };

  document.addEventListener("keydown", (event) => {
    if (event.key === "Escape") leave();
    if ((event.key === "ArrowDown" || event.key === "ArrowUp") && event.target.closest(".search")) { inSearch(event); return; }
    if (event.ctrlKey || event.metaKey || event.altKey || typing(event.target)) return;
    if (going) {
      going = false;
      follow(document.querySelector(`.side a[data-key="${CSS.escape(event.key)}"]`), event);
    } else if (Object.hasOwn(KEYS, event.key)) {
      KEYS[event.key](event);
    } else {
      moves(event);
    }
  });
})();
