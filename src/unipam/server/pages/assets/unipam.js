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

  const typing = (element) => element.closest("input, textarea, select, [contenteditable]") !== null;
  let going = false;

  const leave = () => {
    for (const each of document.querySelectorAll("details.drop[open]")) {
      each.open = false;
      each.querySelector("summary").focus();
    }
    const found = document.getElementById("found");
    if (found) found.replaceChildren();
  };

  // Within the plan's tree: up and down between rows, right and left open and shut one, c copies its prefix.
  const inTree = (event) => {
    const row = event.target.closest(".tree tbody tr");
    if (!row) return;
    event.preventDefault();
    if (event.key === "c") {
      const prefix = row.querySelector("th .code");
      if (prefix) copy(prefix.textContent).then(() => say("Copied"), () => say("The browser does not let this page copy"));
    } else if (event.key === "ArrowRight" || event.key === "ArrowLeft") {
      const toggle = row.querySelector(".toggle");
      if (toggle && (toggle.getAttribute("aria-expanded") === "true") === (event.key === "ArrowLeft")) toggle.click();
    } else {
      const step = event.key === "ArrowDown" ? "nextElementSibling" : "previousElementSibling";
      let next = row[step];
      while (next && !next.querySelector("a")) next = next[step];
      if (next) next.querySelector("a").focus();
    }
  };

  document.addEventListener("keydown", (event) => {
    if (event.key === "Escape") leave();
    if (event.ctrlKey || event.metaKey || event.altKey || typing(event.target)) return;
    if (going) {
      going = false;
      const link = document.querySelector(`.side a[data-key="${CSS.escape(event.key)}"]`);
      if (link) { event.preventDefault(); link.click(); }
    } else if (event.key === "/") {
      const search = document.getElementById("search");
      if (search) { event.preventDefault(); search.focus(); search.select(); }
    } else if (["ArrowDown", "ArrowUp", "ArrowRight", "ArrowLeft", "c"].includes(event.key)) {
      inTree(event);
    } else if (event.key === "g") {
      going = true;
      setTimeout(() => { going = false; }, 1500);
    }
  });
})();
