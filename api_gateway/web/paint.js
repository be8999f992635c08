// What is seen. What people wrote is only ever set as text, never as markup.

import { sortedGroups, state } from "./state.js";

export const NEAR_PX = 120;
const SAME_BREATH_MS = 5 * 60 * 1000;

export const $ = (id) => document.getElementById(id);

export function make(tag, className, text) {
  const node = document.createElement(tag);
  if (className) node.className = className;
  if (text !== undefined) node.textContent = text;
  return node;
}

export function paintAvatar(node, name, extra = "") {
  let hash = 0;
  for (const letter of name) hash = (hash * 31 + letter.codePointAt(0)) >>> 0;
  node.className = `avatar hue-${hash % 8} ${extra}`;
  const words = name.split(/\s+/).filter((word) => /\p{L}|\d/u.test(word));
  const isUp = /^up\d{9}$/.test(name);
  node.textContent = isUp ? name.slice(-3) : words.slice(0, 2).map((word) => [...word][0].toUpperCase()).join("");
  node.setAttribute("aria-hidden", "true");
  return node;
}

const clock = new Intl.DateTimeFormat(undefined, { hour: "2-digit", minute: "2-digit", hourCycle: "h23" });
const dayName = new Intl.DateTimeFormat(undefined, { weekday: "long", day: "numeric", month: "long" });
const shortDay = new Intl.DateTimeFormat(undefined, { day: "numeric", month: "short" });

function timeNode(ms) {
  const node = make("time", "", clock.format(ms));
  node.dateTime = new Date(ms).toISOString();
  return node;
}

export function showStatus(text, live = false) {
  $("status").textContent = text;
  $("status").classList.toggle("live", live);
}

/** Paint once a frame, however many messages come in it. */
export function paintSoon() {
  if (state.painting) return;
  state.painting = true;
  requestAnimationFrame(() => {
    state.painting = false;
    if (state.open) showRoom();
    showGroups();
  });
}

export function showGroups() {
  $("groups").replaceChildren(...sortedGroups().map(groupNode));
}

function groupNode(group) {
  const last = group.messages.at(-1);
  const button = make("button");
  button.setAttribute("aria-current", String(group.id === state.open));
  const isToday = last && new Date(last.timestamp).toDateString() === new Date().toDateString();
  const when = last ? (isToday ? clock : shortDay).format(last.timestamp) : "";
  const said = last ? `${last.up === state.up ? "You" : last.up}: ${last.message.slice(0, 200)}` : "Nothing yet";
  const top = make("span", "line");
  top.append(make("span", "name", group.name), make("time", "", when));
  const below = make("span", "line");
  below.append(make("span", "preview", said));
  if (group.unread) below.append(make("span", "unread", group.unread > 99 ? "99+" : String(group.unread)));
  const lines = make("span", "lines");
  lines.append(top, below);
  button.append(paintAvatar(make("span"), group.name), lines);
  const item = make("li");
  item.dataset.key = group.id;
  item.append(button);
  return item;
}

export function showRoom({ toBottom = false, keepPlace = false } = {}) {
  const group = state.groups.get(state.open);
  const list = $("messages");
  const fromBottom = list.scrollHeight - list.scrollTop;
  const stay = toBottom || fromBottom - list.clientHeight < NEAR_PX;
  $("room-name").textContent = group.name;
  $("room-facts").textContent = group.users ? `${group.users.length} members` : "";
  list.replaceChildren(...roomNodes(group));
  if (keepPlace) list.scrollTop = list.scrollHeight - fromBottom;
  else if (stay) list.scrollTop = list.scrollHeight;
  if (!document.hidden) group.unread = 0;
}

function roomNodes(group) {
  const nodes = [];
  let before = null;
  for (const message of group.messages) {
    const day = new Date(message.timestamp).toDateString();
    const isNewDay = !before || day !== new Date(before.timestamp).toDateString();
    if (isNewDay) nodes.push(make("li", "day", dayName.format(message.timestamp)));
    const isFirst = isNewDay || before.up !== message.up || message.timestamp - before.timestamp > SAME_BREATH_MS;
    nodes.push(messageNode(message, isFirst));
    before = message;
  }
  return [...nodes, ...group.pending.map((mine) => pendingNode(group, mine))];
}

function messageNode(message, isFirst) {
  const isMine = message.up === state.up;
  const node = make("li", `message${isMine ? " mine" : ""}${isFirst ? " first" : ""}`);
  if (!isMine && isFirst) node.append(paintAvatar(make("span"), message.up, "small"), make("span", "who", message.up));
  const bubble = make("div", "bubble", message.message);
  bubble.append(timeNode(message.timestamp));
  node.append(bubble);
  return node;
}

function pendingNode(group, mine) {
  const node = make("li", `message mine ${mine.state === "failed" ? "failed" : "pending"}`);
  const bubble = make("div", "bubble", mine.message);
  const text = mine.state === "failed" ? mine.why : mine.state === "waiting" ? "waiting to be sent" : "sending";
  bubble.append(make("span", "state", text));
  node.append(bubble);
  return node;
}
