// What the plan's pages do beyond HTML: files that are dropped. Everything works without it.
"use strict";
(() => {
  const zone = () => document.querySelector(".drop-here");
  for (const kind of ["dragover", "dragleave", "drop"]) {
    document.addEventListener(kind, (event) => {
      const form = zone();
      if (!form || !event.dataTransfer || !event.dataTransfer.types.includes("Files")) return;
      event.preventDefault();
      form.classList.toggle("over", kind === "dragover");
      if (kind === "drop") {
        form.querySelector("input[type=file]").files = event.dataTransfer.files;
        form.requestSubmit();
      }
    });
  }
})();
