// The circle of UP numbers: who holds which, and the colours of the edges.

import { $, element } from "./nodes.js";

const CIRCLE = 1e9;
const NARROW = matchMedia("(max-width: 47.5rem)");

const colours = new Map();
let drawn = "";

/** An edge keeps its colour as long as this page is open; neighbours in order of coming differ most. */
export function colourOf(edge) {
  if (!colours.has(edge)) {
    const n = colours.size;
    colours.set(edge, `hsl(${(n * 137.5 + 215) % 360} ${62 - 14 * (n % 3)}% ${62 + 7 * (n % 4)}%)`);
  }
  return colours.get(edge);
}

export function paintCircle(shards) {
  const now = JSON.stringify(shards);
  if (now === drawn) return;
  drawn = now;
  const digits = Array.from({ length: 10 }, (_, digit) => {
    const [from, to] = [(digit * CIRCLE) / 10, ((digit + 1) * CIRCLE) / 10];
    const bar = element("span", { className: "bar" });
    for (const shard of shards) {
      const [start, end] = [Math.max(from, shard.start), Math.min(to, shard.end)];
      if (start < end) bar.append(segment(shard, (end - start) / (to - from)));
    }
    return element("li", {}, element("b", { textContent: digit }), bar);
  });
  $("circle").replaceChildren(...digits);
}

function segment(shard, share) {
  const part = element("span", { textContent: shard.edge ?? "nobody", title: `${shard.shard} · ${shard.edge ?? "nobody"}` });
  part.style.flex = `${share} 1 0`;
  part.dataset.edge = shard.edge ?? "";
  if (shard.edge) part.style.backgroundColor = colourOf(shard.edge);
  else part.className = "nobody";
  if (share < (NARROW.matches ? 0.22 : 0.04)) part.classList.add("thin");
  return part;
}

export function highlight(edge) {
  for (const part of document.querySelectorAll(".bar span")) {
    part.classList.toggle("faint", edge !== null && part.dataset.edge !== edge);
  }
}
