// Draws the day-by-day chart from the data the page carries.
"use strict";

const place = document.getElementById("chart");
const style = getComputedStyle(document.documentElement);
const colour = (name) => style.getPropertyValue(name).trim();

function faint(hex) {
  const parts = [1, 3, 5].map((at) => parseInt(hex.slice(at, at + 2), 16));
  return `rgba(${parts.join(",")},0.15)`;
}

function traces(days, series) {
  const line = colour(series.kind === "upsell" ? "--up" : "--cross");
  const shared = { x: days, type: "scatter", legendgroup: series.kind };
  const edge = { ...shared, mode: "lines", line: { width: 0 }, hoverinfo: "skip", showlegend: false };
  return [
    { ...edge, y: series.upper },
    { ...edge, y: series.lower, fill: "tonexty", fillcolor: faint(line) },
    {
      ...shared, y: series.value, name: series.name, mode: "lines+markers",
      line: { color: line, width: 2 }, marker: { color: line, size: 6 },
      text: series.text, hovertemplate: "%{text}<extra>%{fullData.name}</extra>",
    },
  ];
}

const chart = JSON.parse(place.dataset.chart);
const axis = { color: colour("--quiet"), gridcolor: colour("--line"), zeroline: false, fixedrange: true };
Plotly.newPlot(
  place,
  chart.series.flatMap((series) => traces(chart.days, series)),
  {
    margin: { l: 48, r: 12, t: 8, b: 36 },
    paper_bgcolor: "rgba(0,0,0,0)",
    plot_bgcolor: "rgba(0,0,0,0)",
    font: { family: "system-ui, sans-serif", color: colour("--ink") },
    hovermode: "x unified",
    hoverlabel: { bgcolor: colour("--card"), bordercolor: colour("--line") },
    legend: { orientation: "h", y: 1.12 },
    xaxis: { ...axis, type: "date", tickformat: "%Y-%m-%d" },
    yaxis: { ...axis, tickformat: ".1%", rangemode: "tozero" },
  },
  { displayModeBar: false, responsive: true },
);
