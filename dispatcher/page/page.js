// Shows what the dispatcher knows, each second anew, and carries operators' wishes to it.
// It keeps the token for this tab only, and sends it as a header: never in an address.

import { colourOf, highlight, paintCircle } from "./circle.js";
import { $, element, setText } from "./nodes.js";

const EVERY_MS = 1000;
const SURE_MS = 4000;
const READ_MS = 8000;
// A wish may take the dispatcher some ten seconds; whoever has not answered by then hangs.
const ANSWER_MS = 15000;
const FULL = 0.9;
const MAX_SHARDS_SHOWN = 8;

const state = { token: sessionStorage.getItem("token"), table: null, heardAt: 0, readUntil: 0, drawnMoves: "" };

async function call(path, options = {}) {
  const { token } = state;
  const signal = AbortSignal.timeout(options.method ? ANSWER_MS : ANSWER_MS / 3);
  const answer = await fetch(path, { ...options, signal, headers: { Authorization: `Bearer ${token}` } });
  const body = await answer.json();
  if (answer.status === 401 && state.token === token) logOut("This token is not the operators'.");
  if (!answer.ok) throw new Error(body.error.message);
  return body;
}

// --- logging in -----------------------------------------------------------------------------------------

function logOut(why = "") {
  sessionStorage.removeItem("token");
  Object.assign(state, { token: null, table: null });
  $("board").hidden = true;
  $("login").hidden = false;
  $("login-error").textContent = why;
  $("token").focus();
}

$("login-form").addEventListener("submit", (event) => {
  event.preventDefault();
  state.token = $("token").value.trim();
  $("token").value = "";
  sessionStorage.setItem("token", state.token);
  refresh();
});
$("log-out").addEventListener("click", () => logOut());

// --- each second ----------------------------------------------------------------------------------------

async function refresh() {
  const { token } = state;
  if (!token) return;
  try {
    const table = await call("/table");
    // Whoever has logged out meanwhile must not be shown it.
    if (state.token !== token) return;
    Object.assign(state, { table, heardAt: Date.now() });
    const hasLoggedIn = !$("login").hidden;
    $("login").hidden = true;
    $("board").hidden = false;
    if (hasLoggedIn) $("title").focus(); // what had it is gone
    if (Date.now() > state.readUntil) say("");
    paint(table);
  } catch (error) {
    if (state.token !== token) return;
    $("login-error").textContent = error.message;
    // It stays the same while nobody answers: an alert that counted would be read aloud each second.
    const since = state.heardAt && new Date(state.heardAt).toLocaleTimeString();
    if (since) say(`No answer since ${since}: ${error.message}. What is shown is as old.`);
  }
}

function say(text) {
  setText($("notice"), text);
  $("notice").hidden = !text;
}

async function wish(path, body, button) {
  button.disabled = true;
  try {
    await call(path, { method: "POST", body: body && JSON.stringify(body) });
    await refresh();
  } catch (error) {
    if (state.token) say(error.message);
    state.readUntil = Date.now() + READ_MS;
  } finally {
    button.disabled = false;
  }
}

function paint(table) {
  for (const { edge } of table.edges) colourOf(edge);
  paintHead(table);
  paintCircle(table.shards);
  paintEdges(table);
  paintMoves(table.moves, table.leading);
}

function paintHead(table) {
  $("role").textContent = table.leading ? "leads" : "stands by";
  $("role").className = `chip ${table.leading ? "good" : "warn"}`;
  const who = table.leading ? "" : ` · published by ${table.leader ?? "nobody yet"}: ask there for reports`;
  $("table-age").textContent = `table ${table.epoch}.${table.version}${who}`;
  $("serving").textContent = table.edges_serving;
  $("wanted").textContent = wanted(table);
  $("more").disabled = $("enough").disabled = !table.leading;
  $("enough").hidden = !table.edges_asked;
  const sum = (field, ...states) =>
    table.edges.filter(({ state }) => states.includes(state)).reduce((total, edge) => total + (edge[field] ?? 0), 0);
  const [clients, capacity] = [sum("connected", "serving", "draining"), sum("capacity", "serving")];
  $("clients").textContent = table.leading ? clients.toLocaleString() : "–";
  $("capacity").textContent = capacity ? `of ${capacity.toLocaleString()}` : "";
  fill($("clients-meter"), clients, capacity);
  $("messages").textContent = table.leading ? sum("messages_per_s", "serving", "draining").toLocaleString(undefined, { maximumFractionDigits: 1 }) : "–";
  $("shard-count").textContent = `in ${table.shards.length} ${table.shards.length === 1 ? "shard" : "shards"}`;
}

function wanted({ edges_serving: serving, edges_wanted: want, edges_asked: asked, full_without_room: stuck }) {
  const parts = [];
  if (want > 0 && want !== serving) parts.push(`${want} wanted`);
  if (asked) parts.push(`at least ${asked} asked for`);
  if (stuck.length) parts.push(`full: ${stuck.join(", ")}`);
  return parts.join(" · ");
}

function fill(bar, count, capacity) {
  const share = capacity ? count / capacity : 0;
  bar.style.width = `${Math.min(100, 100 * share)}%`;
  bar.parentElement.classList.toggle("full", share >= FULL);
}

// --- edges ----------------------------------------------------------------------------------------------

const rows = new Map();

function paintEdges({ edges, shards, leading }) {
  const labels = new Map();
  for (const { edge, shard } of shards) labels.set(edge, [...(labels.get(edge) ?? []), shard]);
  // One that drains keeps its place: another edge's button must not slip under the pointer.
  const order = { serving: 0, draining: 0, dead: 1, stopped: 2 };
  const byName = (a, b) => a.edge.localeCompare(b.edge, undefined, { numeric: true });
  const sorted = [...edges].sort((a, b) => order[a.state] - order[b.state] || byName(a, b));
  for (const [name, row] of rows) {
    if (!edges.some(({ edge }) => edge === name)) {
      row.tr.remove();
      rows.delete(name);
    }
  }
  sorted.forEach((edge, place) => {
    const row = rows.get(edge.edge) ?? newRow(edge.edge);
    paintRow(row, edge, labels.get(edge.edge) ?? [], leading);
    const body = $("edges").tBodies[0];
    if (body.children[place] !== row.tr) body.insertBefore(row.tr, body.children[place] ?? null);
  });
  $("no-edges").hidden = edges.length > 0;
}

function newRow(name) {
  const tr = element("tr");
  const cell = (className, ...children) => tr.appendChild(element("td", { className }, ...children));
  const mark = element("i");
  mark.style.backgroundColor = colourOf(name);
  const chip = element("span", { className: "chip" });
  const [count, meter, button] = [element("span"), element("span"), element("button")];
  cell("name", mark, name);
  cell("state", chip);
  cell("clients", count, element("span", { className: "meter" }, meter));
  const [rate, age, shards] = [cell("number"), cell("number"), cell("shards")];
  cell("action", button);
  tr.addEventListener("mouseenter", () => highlight(name));
  tr.addEventListener("mouseleave", () => highlight(null));
  const row = { name, tr, chip, count, meter, rate, age, shards, button, askedToDrain: false, sureUntil: 0 };
  button.addEventListener("click", () => press(row));
  rows.set(name, row);
  return row;
}

/** Draining moves people: it is asked for twice. */
function press(row) {
  const isSure = Date.now() <= row.sureUntil;
  row.sureUntil = 0;
  const path = `/edges/${encodeURIComponent(row.name)}`;
  if (row.askedToDrain) {
    // Whoever is sure wanted it drained, and another operator was faster: that must not be undone.
    if (!isSure) wish(`${path}/undrain`, null, row.button);
  } else if (isSure) {
    wish(`${path}/drain`, null, row.button);
  } else {
    row.sureUntil = Date.now() + SURE_MS;
    paintButton(row);
    setTimeout(() => paintButton(row), SURE_MS + 50);
  }
}

function paintButton(row) {
  const asks = !row.askedToDrain && Date.now() < row.sureUntil;
  row.button.textContent = row.askedToDrain ? "Serve again" : asks ? "Really?" : "Drain";
  row.button.ariaLabel = `${row.button.textContent} ${row.name}`;
  row.button.className = asks ? "sure" : "quiet";
}

function titleOf({ url, namesake }) {
  if (!namesake) return url;
  if (namesake === url) return `${url}; an older process of this edge still reports, and is not heard`;
  return `${url}; nobody is sent to ${namesake}, which has the same name`;
}

function paintRow(row, edge, labels, leading) {
  const gone = edge.state === "dead" || edge.state === "stopped";
  row.tr.classList.toggle("gone", gone);
  row.tr.title = titleOf(edge);
  const tone = { serving: "good", draining: "warn", dead: "bad", stopped: "" }[edge.state];
  const drained = edge.state === "draining" && edge.asked_to_drain && edge.connected === 0;
  row.chip.className = `chip ${edge.namesake ? "bad" : tone}`;
  setText(row.chip, (drained ? "drained" : edge.state) + (edge.namesake ? ", named twice" : ""));
  const known = edge.connected !== null && !gone;
  row.count.textContent = known ? `${edge.connected.toLocaleString()} of ${edge.capacity.toLocaleString()}` : "–";
  fill(row.meter, known ? edge.connected : 0, edge.capacity ?? 0);
  row.rate.textContent = known ? (edge.messages_per_s ?? 0).toFixed(1) : "–";
  row.age.textContent = edge.report_age_s === null ? "–" : ago(edge.report_age_s);
  const more = labels.length - MAX_SHARDS_SHOWN;
  setText(row.shards, labels.slice(0, MAX_SHARDS_SHOWN).join("  ") + (more > 0 ? `  and ${more} more` : ""));
  row.shards.title = labels.join("  ");
  row.askedToDrain = edge.asked_to_drain;
  row.button.hidden = !leading || (gone && !edge.asked_to_drain) || (edge.state === "draining" && !edge.asked_to_drain);
  paintButton(row);
}

// --- moves ----------------------------------------------------------------------------------------------

function paintMoves(moves, leading) {
  const now = JSON.stringify(moves.map((move) => ({ ...move, age_s: null })));
  // What stays is left where it is: made anew each second, nobody could select and copy it.
  if (now !== state.drawnMoves) {
    state.drawnMoves = now;
    $("moves").replaceChildren(
      ...moves.map(({ shard, from, to, reason }) =>
        element(
          "li", {},
          element("span", { className: "shard", textContent: shard }),
          element("span", { textContent: `${from ?? "nobody"} → ${to ?? "nobody"}` }),
          element("span", { className: "chip", textContent: reason }),
          element("time", { className: "soft" }),
        )),
    );
  }
  moves.forEach(({ age_s: age }, place) => setText($("moves").children[place].lastChild, ago(age)));
  $("no-moves").hidden = moves.length > 0 || !leading;
}

function ago(seconds) {
  if (seconds < 1.5) return "just now";
  if (seconds < 90) return `${Math.round(seconds)} s ago`;
  if (seconds < 5400) return `${Math.round(seconds / 60)} min ago`;
  return `${Math.round(seconds / 3600)} h ago`;
}

// --- more edges -----------------------------------------------------------------------------------------

$("more").addEventListener("click", ({ target }) => {
  const { edges_serving: serving, edges_asked: asked } = state.table;
  wish("/edges-asked", { edges: Math.max(serving, asked) + 1 }, target);
});
$("enough").addEventListener("click", ({ target }) => wish("/edges-asked", { edges: 0 }, target));

if (!state.token) logOut();
refresh();
setInterval(refresh, EVERY_MS);
