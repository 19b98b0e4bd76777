// Pages are complete without this file. It adds: filters that apply on change, and a readout of the
// chart for pointer and arrow keys, with the texts of the table below it.
"use strict";

document.querySelector(".filters")?.addEventListener("change", (event) => {
  const form = event.currentTarget;
  if (form.checkValidity()) form.submit();
});

for (const figure of document.querySelectorAll(".chart[data-table]")) {
  const plot = figure.querySelector(".plot");
  const table = document.getElementById(figure.dataset.table);
  const readout = document.getElementById(figure.dataset.readout);
  const cursor = plot.querySelector(".cursor");
  const names = [...table.tHead.rows[0].cells].map((cell) => cell.textContent.trim());
  const rows = [...table.tBodies[0].rows].map((row) => [...row.cells].map((cell) => cell.textContent.trim()));
  let current = rows.length - 1;
  const show = (index) => {
    current = Math.max(0, Math.min(rows.length - 1, index));
    const [bucket, ...cells] = rows[current];
    readout.textContent = `${bucket}: ${cells.map((cell, at) => `${names[at + 1]} ${cell}`).join("; ")}`;
    const x = `${(100 * (current + 0.5)) / rows.length}%`;
    cursor.setAttribute("x1", x);
    cursor.setAttribute("x2", x);
    cursor.setAttribute("visibility", "visible");
  };
  plot.addEventListener("pointermove", (event) => {
    const box = plot.getBoundingClientRect();
    show(Math.floor(((event.clientX - box.left) / box.width) * rows.length));
  });
  plot.addEventListener("keydown", (event) => {
    const step = { ArrowLeft: -1, ArrowRight: 1, Home: -rows.length, End: rows.length }[event.key];
    if (step) {
      event.preventDefault();
      show(current + step);
    }
  });
}
