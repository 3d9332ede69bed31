"use strict";
(() => {
  // the filters and the order of one table of results
  const prepare = (section) => {
    const form = section.querySelector("form");
    const body = section.querySelector("tbody");
    const rows = [...body.rows];
    const status = section.querySelector("output");
    const nothing = section.querySelector(".nothing");
    const cells = [...section.querySelectorAll("[data-column]")];
    const [kind, column, words] = ["kind", "column", "words"].map((name) => form.querySelector(`[data-filter="${name}"]`));

    const filter = () => {
      const kinds = kind.value.split(" ").filter(Boolean);
      const wanted = words.value.toLowerCase().split(/\s+/).filter(Boolean);
      let count = 0;
      for (const row of rows) {
        const fits = (kinds.length === 0 || kinds.includes(row.dataset.kind))
          && wanted.every((word) => row.dataset.words.includes(word));
        row.hidden = !fits;
        count += fits;
      }
      for (const cell of cells) cell.hidden = column.value !== "" && column.value.slice(1) !== cell.dataset.column;
      status.textContent = `${count} of ${rows.length} lines`;
      nothing.hidden = count > 0;
    };

    const order = (button) => {
      const header = button.closest("th");
      const falling = header.getAttribute("aria-sort") !== "descending" && button.dataset.sort !== "method"
        || header.getAttribute("aria-sort") === "ascending";
      for (const each of section.querySelectorAll("[aria-sort]")) each.setAttribute("aria-sort", "none");
      header.setAttribute("aria-sort", falling ? "descending" : "ascending");
      const sign = falling ? -1 : 1;
      if (button.dataset.sort === "method") {
        body.append(...[...rows].sort((a, b) => sign * a.dataset.words.localeCompare(b.dataset.words)));
        return;
      }
      const key = button.dataset.sort.slice(1);
      const fits = (cell) => cell.dataset.column === key && cell.className === header.className;
      const value = (row) => [...row.cells].find(fits).dataset.order;
      // lines without a figure come last in either order
      const known = rows.filter((row) => value(row) !== "").sort((a, b) => sign * (value(a) - value(b)));
      body.append(...known, ...rows.filter((row) => value(row) === ""));
    };

    for (const event of ["input", "change"]) form.addEventListener(event, filter);
    form.addEventListener("submit", (event) => event.preventDefault());
    form.addEventListener("reset", () => setTimeout(() => {
      for (const each of section.querySelectorAll("[aria-sort]")) each.setAttribute("aria-sort", "none");
      body.append(...rows);
      filter();
    }));
    for (const button of section.querySelectorAll("[data-sort]")) button.addEventListener("click", () => order(button));
    filter(); // a browser may restore the choices of before a reload
  };
  for (const section of document.querySelectorAll(".results")) prepare(section);

  // nothing can be opened on paper: open every list to print it, and close it again afterwards
  let closed = [];
  addEventListener("beforeprint", () => {
    closed = [...document.querySelectorAll("details:not([open])")];
    for (const each of closed) each.open = true;
  });
  addEventListener("afterprint", () => {
    for (const each of closed) each.open = false;
  });
  document.documentElement.classList.add("js");
})();
