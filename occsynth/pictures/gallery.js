"use strict";
(() => {
  const root = document.documentElement;
  const form = document.getElementById("filters");
  const search = document.getElementById("search");
  const status = document.getElementById("status");
  const nothing = document.getElementById("nothing");
  const pairs = [...document.querySelectorAll("#pairs > li")];
  const selects = [...form.querySelectorAll("select")];
  const views = ["occluded", "clean", "mask"];

  const chosenView = () => form.elements.view.value;
  const has = (face, view) => view === "all" || face.querySelector("img." + view) !== null;

  // what a face shows now; data-view is what it goes back to when the pointer leaves
  const show = (face, view) => {
    const shown = has(face, view) ? view : "occluded";
    face.dataset.shown = shown;
    face.querySelector(".shown").textContent = shown === "all" ? "" : shown;
    return shown;
  };
  const settle = (face, view) => { face.dataset.view = show(face, view); };

  const filter = () => {
    const words = search.value.toLowerCase().split(/\s+/).filter(Boolean);
    let count = 0;
    for (const pair of pairs) {
      const fits = selects.every((select) => select.value === "" || select.value.slice(1) === pair.dataset[select.dataset.filter])
        && words.every((word) => pair.dataset.text.includes(word));
      pair.hidden = !fits;
      count += fits;
    }
    status.textContent = `Showing ${count} of ${pairs.length}`;
    nothing.hidden = count > 0;
  };
  const changeView = () => {
    root.classList.toggle("all", chosenView() === "all");
    for (const pair of pairs) settle(pair.querySelector(".face"), chosenView());
  };
  const everything = () => { filter(); changeView(); };

  for (const pair of pairs) {
    const face = pair.querySelector(".face");
    face.dataset.view = "occluded";
    if (!has(face, "clean")) { face.disabled = true; continue; }
    face.addEventListener("pointerenter", (event) => {
      if (event.pointerType === "mouse" && face.dataset.view !== "all") show(face, face.dataset.view === "occluded" ? "clean" : "occluded");
    });
    face.addEventListener("pointerleave", () => show(face, face.dataset.view));
    face.addEventListener("click", () => {
      if (face.dataset.view !== "all") settle(face, views[(views.indexOf(face.dataset.shown) + 1) % views.length]);
    });
  }
  // some browsers and helpers that fill in forms send only one of the two for a drop-down list
  for (const kind of ["input", "change"]) {
    form.addEventListener(kind, (event) => (event.target.name === "view" ? changeView() : filter()));
  }
  form.addEventListener("submit", (event) => event.preventDefault());
  form.addEventListener("reset", () => setTimeout(everything));
  document.getElementById("again").addEventListener("click", () => { form.reset(); search.focus(); });
  root.classList.add("js");
  everything(); // a browser may bring back what was chosen before a reload
})();
