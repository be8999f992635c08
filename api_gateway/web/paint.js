// What is seen: who is here, the groups, the open room and its members.

import { dayOf, timeOf, timeOrDayOf } from "./dates.js";
import { $, make, paintAvatar, paintList, setText, textWithLinks } from "./nodes.js";
import { nameOf, sortedGroups, state } from "./state.js";

export const NEAR_PX = 120;
const MOST_MEMBERS = 1000; // a browser stood still for 12 s with 40 000 of them
const MOST_HEARD = 5; // of a burst, the newest: who listens wants to hear what is said now
const SAME_BREATH_MS = 5 * 60 * 1000;

/** Somebody keeps their colour when their name becomes known. */
const paintFace = (node, up, extra) => paintAvatar(node, nameOf(up), up, extra);

const alphabet = new Intl.Collator(); // localeCompare takes ten times as long

export function showStatus(text, live = false) {
  setText($("status"), text);
  $("status").classList.toggle("live", live);
  setText($("lost"), live ? "" : text);
}

export function showMe() {
  setText($("my-name"), nameOf(state.up));
  $("my-name").title = state.up;
  paintFace($("my-avatar"), state.up);
}

const toHear = [];

/** Have something read aloud. The log itself is not: nobody wants to hear all that was said before. */
export function hear(text) {
  toHear.push(text);
  paintSoon(); // a node for each message would have the browser lay the page out for each
}

function showHeard() {
  const heard = $("heard");
  heard.append(...toHear.splice(0).slice(-MOST_HEARD).map((text) => make("p", "", text)));
  while (heard.childElementCount > MOST_HEARD) heard.firstChild.remove();
}

/** Paint once a frame, however many messages come in it. */
export function paintSoon() {
  if (state.painting) return;
  state.painting = true;
  requestAnimationFrame(() => {
    state.painting = false;
    if (state.open) showRoom();
    showHeard();
    showGroups();
  });
}

export function showGroups() {
  if (state.pressing) return;
  showUnread();
  paintList($("groups"), sortedGroups().map((group) => ({ key: group.id, group })), groupNode, paintGroup);
}

/** Tell of unread messages in the tab's title, where it is seen from other tabs. */
export function showUnread() {
  const unread = [...state.groups.values()].reduce((sum, group) => sum + group.unread, 0);
  document.title = `${unread ? `(${atMost99(unread)}) ` : ""}Uni4all Chat`;
}

const atMost99 = (count) => (count > 99 ? "99+" : String(count));

function groupNode() {
  const [top, below, lines] = [make("span", "line"), make("span", "line"), make("span", "lines")];
  top.append(make("span", "name"), make("time"));
  below.append(make("span", "preview"), make("span", "unread"));
  lines.append(top, below);
  const button = make("button");
  button.append(make("span"), lines);
  const item = make("li");
  item.append(button);
  return item;
}

function paintGroup(item, { group }) {
  const button = item.firstChild;
  const [name, when, preview, unread] = button.querySelectorAll(".line > *");
  const last = group.messages.at(-1);
  button.setAttribute("aria-current", String(group.id === state.open));
  paintAvatar(button.firstChild, group.name, group.name);
  setText(name, group.name);
  setText(when, last ? timeOrDayOf(last.timestamp) : "");
  setText(preview, previewOf(group, last));
  setText(unread, atMost99(group.unread));
  unread.hidden = group.unread === 0;
}

function previewOf(group, last) {
  if (group.draft.trim() && group.id !== state.open) return `Draft: ${group.draft.slice(0, 200)}`;
  if (!last) return group.complete ? "Nothing yet" : "";
  const [firstName] = nameOf(last.up).split(" "); // a whole name would leave no room for what was said
  return `${last.up === state.up ? "You" : firstName}: ${last.message.slice(0, 200)}`;
}

export function focusGroup(id) {
  [...$("groups").children].find((item) => item.key === id).firstChild.focus();
}

/** Whether a group is in sight: it is open, and neither another tab nor its members cover it. */
export function isInSight(group) {
  return group.id === state.open && !document.hidden && getComputedStyle($("room")).visibility === "visible";
}

/** Whether what comes to a group is read at once. */
export const isRead = (group) => isInSight(group) && !isReadUp(group);

/** Whether somebody reads further up in a group than its end: what they read stays. */
export function isReadUp(group) {
  return group.id === state.open && fromBottom() >= NEAR_PX;
}

function fromBottom() {
  const { scrollHeight, scrollTop, clientHeight } = $("messages");
  return scrollHeight - scrollTop - clientHeight;
}

export function showRoom({ toBottom = false, keepPlace = false } = {}) {
  const group = state.groups.get(state.open);
  const list = $("messages");
  const place = list.scrollHeight - list.scrollTop;
  const stay = toBottom || !isReadUp(group);
  setText($("room-name"), group.name);
  setText($("room-facts"), group.fault || (group.users ? `${group.users.length} members` : ""));
  $("room-facts").classList.toggle("error", Boolean(group.fault));
  paintList(list, roomThings(group), roomNode, paintRoomNode);
  list.classList.toggle("nothing", group.complete && !list.firstChild);
  if (keepPlace) list.scrollTop = list.scrollHeight - place;
  else if (stay) list.scrollTop = list.scrollHeight;
  showWhatIsNew();
}

let heightNoted = 0;
let wasReadUp = false; // at that height: once it has changed, where they scrolled to no longer tells

/** What came is read once the end is in sight; whoever reads further up is offered the way there. */
export function showWhatIsNew() {
  const group = state.groups.get(state.open);
  if (!group) return;
  if (group.unread && isRead(group)) {
    group.unread = 0;
    paintSoon();
  }
  const readsUp = isReadUp(group);
  $("to-newest").hidden = !readsUp;
  setText($("to-newest"), `${group.unread ? `${atMost99(group.unread)} new` : "Newest"} ↓`);
  if ($("messages").clientHeight === heightNoted) wasReadUp = readsUp;
}

/** Whoever is at the end of what was said stays there when its height changes, as by a phone's keyboard. */
export function stayAtEnd() {
  const list = $("messages");
  if (!wasReadUp) list.scrollTop = list.scrollHeight;
  heightNoted = list.clientHeight;
  showWhatIsNew();
}

export function showMembers(group) {
  const ups = [...(group.users ?? [])].sort((one, other) => alphabet.compare(nameOf(one), nameOf(other)));
  const others = ups.splice(MOST_MEMBERS).length;
  const things = ups.map((up) => ({ key: `${group.id} ${up}`, up }));
  if (others) things.push({ key: `${group.id} others`, others });
  paintList($("members"), things, memberNode, paintMember);
}

function memberNode({ others }) {
  const item = make("li");
  if (others) return item;
  const lines = make("span", "lines");
  lines.append(make("span", "name"), make("small"));
  item.append(make("span"), lines, make("span", "online", "online"));
  return item;
}

function paintMember(item, { up, others }) {
  if (others) return setText(item, `and ${others} others`);
  const [face, lines, online] = item.children;
  const [name, number] = lines.children;
  paintFace(face, up, "small");
  setText(name, up === state.up ? `${nameOf(up)} (you)` : nameOf(up));
  setText(number, nameOf(up) === up ? "" : up);
  online.hidden = !state.people.get(up)?.online;
}

/** What the room shows: what was said, then what is being sent, under the same keys; before each day's first, the day. */
function roomThings(group) {
  const things = [];
  let [before, dayBefore] = [null, null];
  for (const message of [...group.messages, ...group.pending]) {
    const { id, up, timestamp } = message;
    const key = `${group.id} ${up} ${id}`;
    const day = new Date(timestamp).toDateString();
    const isNewDay = day !== dayBefore;
    const isFirst = isNewDay || before.up !== up || timestamp - before.timestamp > SAME_BREATH_MS;
    if (isNewDay) things.push({ key: `${key} day`, day: dayOf(timestamp) });
    things.push({ key, message, isFirst });
    [before, dayBefore] = [message, day];
  }
  return things;
}

function roomNode({ day, message }) {
  const node = make("div");
  if (day) return node;
  const { id, up, message: text } = message;
  node.dataset.id = id;
  if (up === state.up) node.append(make("span", "who hidden-text", "You"));
  else node.append(make("span"), make("span", "who"));
  const bubble = make("div", "bubble");
  bubble.append(textWithLinks(text), make("time"), make("span", "state"));
  if (up === state.up) bubble.append(make("button", "", "Edit")); // seen once it is refused
  node.append(bubble);
  return node;
}

function paintRoomNode(node, { day, message, isFirst }) {
  if (day) {
    node.className = "day";
    return setText(node, day);
  }
  const isSaid = message.seq !== undefined;
  const looks = ["message", message.up === state.up && "mine", isFirst && "first"];
  if (!isSaid) looks.push(message.state === "failed" ? "failed" : "pending");
  const status = isSaid ? "" : { sending: "sending", waiting: "waiting to be sent", failed: message.why }[message.state];
  const className = looks.filter(Boolean).join(" ");
  const now = `${className}\n${message.timestamp}\n${status}\n${nameOf(message.up)}`;
  if (node.painted === now) return; // of thousands nearly all: to set them all anew takes many frames
  node.painted = now;
  node.className = className;
  if (message.up !== state.up) paintAuthor(node, message.up);
  const [, time, sending] = node.lastChild.children;
  time.dateTime = new Date(message.timestamp).toISOString();
  setText(time, isSaid ? timeOf(message.timestamp) : "");
  if (sending.textContent === status) return;
  setText(sending, status);
  if (!isSaid && message.state !== "sending") hear(status);
}

function paintAuthor(node, up) {
  const [face, who] = node.children;
  if (who.textContent === nameOf(up)) return;
  paintFace(face, up, "small");
  setText(who, nameOf(up));
  who.title = up;
}
