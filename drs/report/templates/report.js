"use strict";
for (const table of document.querySelectorAll("table.sortable")) {
  const body = table.tBodies[0];
  table.querySelectorAll("th[data-sort]").forEach((head) => {
    const words = head.textContent;
    const button = document.createElement("button");
    button.className = "sort";
    button.type = "button";
    button.textContent = words;
    head.replaceChildren(button);
    button.addEventListener("click", () => {
      const up = head.getAttribute("aria-sort") !== "ascending";
      table.querySelectorAll("th[aria-sort]").forEach((other) => other.removeAttribute("aria-sort"));
      head.setAttribute("aria-sort", up ? "ascending" : "descending");
      const at = head.cellIndex;
      const value = (row) => {
        const cell = row.cells[at];
        return head.dataset.sort === "number" ? Number(cell.dataset.value) : cell.textContent.trim();
      };
      const rows = [...body.rows].map((row) => [value(row), row]);
      rows.sort(([a], [b]) => (typeof a === "number" ? a - b : a.localeCompare(b, undefined, { numeric: true })));
      if (!up) rows.reverse();
      body.append(...rows.map(([, row]) => row));
    });
  });
}
const filter = document.getElementById("filter");
if (filter) {
  const rows = [...document.querySelectorAll("#moves tbody tr")];
  const texts = rows.map((row) => row.textContent.toLowerCase());
  const shown = document.getElementById("shown");
  filter.addEventListener("input", () => {
    const want = filter.value.trim().toLowerCase();
    let n = 0;
    rows.forEach((row, i) => {
      row.hidden = !texts[i].includes(want);
      if (!row.hidden) n += 1;
    });
    shown.textContent = want ? `${n} of ${rows.length} moves` : "";
  });
}
const moment = document.getElementById("moment");
if (moment) {
  const flows = [...document.querySelectorAll("svg .flow")];
  const wires = [...document.querySelectorAll("svg .wire")].map((wire) => [
    wire,
    wire.dataset.bands.split(" ").map((pair) => pair.split(":").map(Number)),
  ]);
  const said = document.getElementById("moment-words");
  moment.addEventListener("input", () => {
    const at = Number(moment.value);
    let n = 0;
    for (const flow of flows) {
      const runs = Number(flow.dataset.start) <= at && at < Number(flow.dataset.end);
      flow.classList.toggle("off", !runs);
      if (runs) n += 1;
    }
    for (const [wire, bands] of wires) {
      const now = bands.filter(([start]) => start <= at).pop();
      wire.setAttribute("class", `wire use-${now ? now[1] : 0}`);
    }
    said.textContent = `${at.toFixed(1)} s: ${n} under way`;
  });
}
