"use strict";
(() => {
  // a click on a heading sorts the table: numbers from the highest, words from the first, and the other way round
  const prepare = (table) => {
    const body = table.tBodies[0];
    const headings = [...table.querySelectorAll("th[aria-sort]")];
    const isNumber = (text) => text !== "" && Number.isFinite(Number(text));

    const sort = (heading) => {
      const place = Number(heading.querySelector("button").dataset.sort);
      const value = (row) => row.cells[place].dataset.order;
      const known = [...body.rows].filter((row) => value(row) !== "");
      const unknown = [...body.rows].filter((row) => value(row) === "");
      const numbers = place > 0 && known.every((row) => isNumber(value(row)));
      const before = heading.getAttribute("aria-sort");
      const falling = before === "none" ? numbers : before === "ascending";
      for (const each of headings) each.setAttribute("aria-sort", "none");
      heading.setAttribute("aria-sort", falling ? "descending" : "ascending");
      const compare = numbers ? (a, b) => value(a) - value(b) : (a, b) => value(a).localeCompare(value(b));
      // lines without a figure come last in either order
      body.append(...known.sort((a, b) => (falling ? -1 : 1) * compare(a, b)), ...unknown);
    };

    for (const heading of headings) heading.querySelector("button").addEventListener("click", () => sort(heading));
  };
  for (const table of document.querySelectorAll("table")) prepare(table);
  document.documentElement.classList.add("js");
})();
