// A small client of the public contracts, and nothing else: where to connect and what was said over REST, live
// messages over Socket.IO.

import { $, focusGroup, isRead, isReadUp, NEAR_PX, noteWhetherReadUp, paintSoon, showGroups, showMe, showMembers, showRoom, showStatus, showUnread, stayAtEnd } from "./paint.js";
import { keep, makeRoom, newGroup, sortedGroups, state } from "./state.js";

const PAGE = 50;
const SEND_TIMEOUT_MS = 8000;
const ANSWER_MS = 20_000; // whoever has not answered by then hangs, as where a phone changes its network
const RETRY_SEND_MS = 2000;
const MAX_BACKOFF_MS = 8000;
const LOOK_FOR_STORED_MS = 250;
const MAX_CURSORS = 1000;
const SEEN_FIRST = 20; // groups in the list before anybody scrolls
const MAX_TEXT_BYTES = 16 * 1024;
const LASTING = new Set(["unavailable", "history_unavailable", "overloaded", "rate_limited"]);
const TOKEN_CODES = new Set(["missing_token", "invalid_token", "expired_token"]);

const narrow = matchMedia("(max-width: 47.5rem)");
const pause = (ms) => new Promise((done) => setTimeout(done, ms));

// --- REST ---

class Refusal extends Error {
  constructor(status, error, retryAfterS) {
    super(error.message);
    this.status = status;
    this.code = error.code;
    this.retryAfterMs = retryAfterS * 1000;
  }
}

async function ask(method, path, body) {
  const { session } = state;
  const headers = { authorization: `Bearer ${state.token}` };
  if (body) headers["content-type"] = "application/json";
  const hanging = new AbortController();
  const giveUp = setTimeout(() => hanging.abort(), ANSWER_MS);
  try {
    const answer = await fetch(path, { method, headers, body: body && JSON.stringify(body), signal: hanging.signal });
    const said = await answer.json();
    if (answer.ok) return said;
    throw new Refusal(answer.status, said.error, Number(answer.headers.get("retry-after")) || 0);
  } finally {
    clearTimeout(giveUp);
    if (session !== state.session) await new Promise(() => {}); // it was for who has logged out: nobody hears of it
  }
}

const read = (path) => ask("GET", path);
const inPath = encodeURIComponent;
const messagesOf = (group) => `/chat/${inPath(group.id)}/message?perPage=${PAGE}`;

const isHere = (group) => state.groups.get(group.id) === group;

/** Read as long as it is wanted, and tell of each try in vain. Returns null where it was refused for good. */
async function readPatiently(path, isWanted, tell) {
  while (isWanted()) {
    try {
      return await read(path);
    } catch (error) {
      tell(error);
      if (error instanceof Refusal && !LASTING.has(error.code)) return null;
      await pause(error.retryAfterMs || 2000);
    }
  }
  return null;
}

/** Say why a request was in vain. Without a good token nothing else can be done here. */
function explain(error) {
  const why = error instanceof Refusal ? error.message : "The server does not answer.";
  if (TOKEN_CODES.has(error.code)) logOut(why);
  return why;
}

function report(error, group) {
  group.fault = explain(error);
  paintSoon();
}

// --- Logging in and out ---

function upOf(token) {
  const payload = token.split(".")[1].replaceAll("-", "+").replaceAll("_", "/");
  const claims = JSON.parse(atob(payload));
  const up = [claims.sub, ...Object.values(claims)].find((claim) => /^up\d{9}$/i.test(claim));
  if (!up) throw new Error("no UP number");
  return up.toLowerCase();
}

async function logIn(token) {
  const before = state.up;
  try {
    state.up = upOf(token);
  } catch {
    return logOut("This is not a token of a student.");
  }
  if (before && state.up !== before) forgetWork();
  $("login-form").hidden = true;
  state.token = token;
  state.session += 1;
  try {
    await loadGroups();
  } catch (error) {
    logOut(error instanceof Refusal ? error.message : "The server does not answer.");
    $("token").value = token; // it may do in a moment
    return;
  }
  sessionStorage.setItem("token", token);
  $("login").hidden = true;
  $("chat").hidden = false;
  showMe();
  showGroups();
  connect(state.session);
  const last = state.groups.get(history.state) ?? state.groups.get(sessionStorage.getItem("open"));
  const first = last ?? (narrow.matches ? null : sortedGroups()[0]);
  if (first) openGroup(first.id);
}

function logOut(why = "") {
  sessionStorage.removeItem("token");
  if (why) for (const { id, draft, pending } of state.groups.values()) state.unsent.set(id, { draft, pending });
  else forgetWork(); // they left by choice
  state.session += 1;
  hangUp();
  closeRoom();
  Object.assign(state, { token: null, failures: 0, groups: new Map(), people: new Map(), toName: new Set() });
  showGroups();
  $("new-group").close();
  $("chat").hidden = true;
  $("login").hidden = $("login-form").hidden = false;
  $("login-error").textContent = why;
  $("token").value = "";
  $("token").focus();
}

/** Forget what was being written, and where: it is nobody else's. */
function forgetWork() {
  state.unsent.clear();
  sessionStorage.removeItem("open");
}

// --- Groups ---

async function loadGroups() {
  const { groups } = await read("/chat/group");
  for (const { id, name } of groups) {
    const known = state.groups.get(id);
    if (known) known.name = name;
    else state.groups.set(id, newGroup(id, name));
  }
  await loadPreviews().catch((error) => {
    if (TOKEN_CODES.has(error.code)) throw error;
  });
  nameAuthors();
}

async function loadPreviews() {
  const { groups } = await read("/chat/message?perPage=1");
  for (const { group, messages } of groups) {
    const known = state.groups.get(group);
    if (known && !known.loaded) for (const message of messages) keep(known, message);
  }
}

function openGroup(id) {
  state.open = id;
  sessionStorage.setItem("open", id); // a reload, or a new token, leads back to it
  // On a phone the room is one step from the list, whichever it is: the browser's way back closes it.
  if (history.state) history.replaceState(id, "");
  else if (narrow.matches) history.pushState(id, "");
  $("chat").classList.add("reading");
  const group = state.groups.get(id);
  $("empty").hidden = true;
  $("compose").hidden = $("toggle-people").hidden = false;
  showRoom({ toBottom: true });
  showGroups();
  fillBox(group.draft);
  $("add-member").reset();
  showPeople(!$("people").hidden);
  loadNewest(group);
  loadNames(group);
}

function backToGroups() {
  const left = state.open;
  sessionStorage.removeItem("open");
  closeRoom();
  showGroups();
  focusGroup(left);
}

function forget(id) {
  state.groups.delete(id);
  if (state.open === id) closeRoom();
  showGroups();
}

/** Let a text be what is about to be written in the open group. */
function fillBox(text) {
  $("text").value = text;
  $("text").focus();
  keepDraft();
}

function keepDraft() {
  const text = $("text").value;
  state.groups.get(state.open).draft = text;
  $("box").dataset.text = text;
}

function closeRoom() {
  if (state.open && history.state) history.back();
  state.open = null;
  for (const shown of ["messages", "members", "room-name", "room-facts"]) $(shown).replaceChildren();
  $("text").value = "";
  $("messages").classList.remove("nothing");
  $("compose").hidden = $("toggle-people").hidden = true;
  showPeople(false);
  $("leaving").close();
  $("empty").hidden = false;
  $("chat").classList.remove("reading");
}

// --- Messages ---

/** Read the newest page, until history holds all that was said before this client listened. */
async function loadNewest(group) {
  if (group.loaded) return;
  const load = (group.loads += 1);
  const isWanted = () => isHere(group) && load === group.loads;
  const until = group.cursor ?? -1;
  for (let waitMs = LOOK_FOR_STORED_MS; ; waitMs = Math.min(2 * waitMs, MAX_BACKOFF_MS)) {
    const page = await readPatiently(messagesOf(group), isWanted, (error) => report(error, group));
    if (!page || !isWanted()) return;
    group.fault = "";
    startFrom(group, page.messages);
    group.loaded = true;
    if (group.id === state.open) {
      showRoom({ toBottom: waitMs === LOOK_FOR_STORED_MS });
      loadWhereTopIsSeen();
    }
    if (page.storedUpTo >= until) break;
    await pause(waitMs);
  }
  paintSoon();
}

/** Begin a group's messages with a page: what is older than a full page might lie beyond a hole. */
function startFrom(group, page) {
  group.complete = page.length < PAGE;
  if (!group.complete) group.messages = group.messages.filter(({ seq }) => seq >= page[0].seq);
  for (const message of page) keep(group, message);
}

/** Read what is older where the oldest is in sight, or nearly: also where a page does not fill the window. */
function loadWhereTopIsSeen() {
  const group = state.groups.get(state.open);
  if (group && $("messages").scrollTop < NEAR_PX) loadOlder(group);
}

async function loadOlder(group) {
  if (group.complete || group.loading || !group.messages.length) return;
  group.loading = true;
  const oldest = group.messages[0];
  try {
    const { messages } = await read(`${messagesOf(group)}&before=${oldest.seq}`);
    group.fault = "";
    if (group.messages[0] === oldest) { // else they would stand before a hole
      group.complete = messages.length < PAGE;
      for (const message of messages) keep(group, message);
    }
    if (group.id === state.open) showRoom({ keepPlace: true });
  } catch (error) {
    return report(error, group);
  } finally {
    group.loading = false;
  }
  loadWhereTopIsSeen();
}

/** Keep a message that was said now, live or by its ack; the oldest make room. Says whether it is new. */
function keepNewest(group, message) {
  const isNew = keep(group, message);
  if (isNew) makeRoom(group, isReadUp(group));
  return isNew;
}

function onMessage(message) {
  const group = state.groups.get(message.room);
  if (!group) return;
  group.cursor = Math.max(group.cursor ?? -1, message.seq);
  if (!keepNewest(group, message)) return;
  if (!isRead(group) && message.up !== state.up) {
    group.unread += 1;
    showUnread(); // nothing is painted in a hidden tab
  }
  if (!state.people.has(message.up)) {
    state.people.set(message.up, {}); // asked for once: they may have left
    loadNames(group);
  }
  paintSoon();
}

// --- Sending: a message keeps its id over every retry, so it is never said twice ---

function newId() {
  return [...crypto.getRandomValues(new Uint8Array(16))].map((byte) => byte.toString(16).padStart(2, "0")).join("");
}

function write(group, text) {
  const mine = { id: newId(), up: state.up, message: text, timestamp: Date.now(), state: "sending" };
  // An edge refuses what is too large, but hangs up on a frame that is, at each try: such a one is never sent.
  if (text.length > MAX_TEXT_BYTES) Object.assign(mine, { state: "failed", why: "This is larger than allowed." });
  group.pending.push(mine);
  showRoom({ toBottom: true });
  if (mine.state !== "failed") send(group, mine);
}

/** Put what was refused back into the box, before what is there: it may do in other words, or later. */
function takeBack(group, id) {
  const mine = group.pending.find((one) => one.id === id);
  group.pending = group.pending.filter((one) => one !== mine);
  fillBox([mine.message, group.draft].filter(Boolean).join("\n"));
  paintSoon();
}

function send(group, mine) {
  const { socket, session } = state;
  if (!socket?.connected) return; // sent when the socket is back
  const { id, message, timestamp } = mine;
  const payload = { id, message, timestamp, up: state.up, room: group.id };
  socket.timeout(SEND_TIMEOUT_MS).emit("chat message", payload, (silence, ack) => {
    if (session !== state.session || !group.pending.includes(mine)) return;
    if (silence || LASTING.has(ack.error?.code)) {
      mine.state = silence ? "sending" : "waiting";
      setTimeout(() => isHere(group) && group.pending.includes(mine) && send(group, mine), RETRY_SEND_MS);
    } else if (ack.error) {
      mine.state = "failed";
      mine.why = ack.error.message;
    } else {
      keepNewest(group, { ...payload, seq: ack.seq, timestamp: ack.timestamp, sentAt: timestamp });
    }
    paintSoon();
  });
}

function sendAllPending() {
  for (const group of state.groups.values())
    for (const mine of group.pending) if (mine.state !== "failed") send(group, mine);
}

// --- Live: the gateway says where, the edge takes cursors and gives what was missed ---

async function connect(session) {
  if (session !== state.session) return;
  if (state.failures === 0) showStatus("Looking for a server");
  try {
    const { url, edge, shard } = await read("/chat/location");
    if (session === state.session) listen(session, url, `${edge} · shard ${shard}`);
  } catch (error) {
    if (TOKEN_CODES.has(error.code)) logOut(error.message);
    else tryAgain(session, error.retryAfterMs);
  }
}

function tryAgain(session, atLeastMs = 0) {
  if (session !== state.session) return;
  showStatus("Connecting again");
  const backoff = Math.min(MAX_BACKOFF_MS, 250 * 2 ** state.failures) * (0.5 + Math.random());
  state.failures += 1;
  setTimeout(() => connect(session), Math.max(atLeastMs, backoff));
}

/** Close the connection as what we have done with: what it still says, also of its end, changes nothing. */
function hangUp() {
  const { socket } = state;
  state.socket = null;
  socket?.close();
}

/** An edge takes so many. What is quiet for the longest time begins anew: it is read from history. */
function cursors() {
  const seen = sortedGroups().filter((group) => group.cursor !== null);
  for (const group of seen.splice(MAX_CURSORS)) group.cursor = null;
  return Object.fromEntries(seen.map((group) => [group.id, group.cursor]));
}

function listen(session, url, status) {
  hangUp();
  const auth = { token: state.token, since: cursors() };
  const socket = io(url, { auth, reconnection: false, forceNew: true });
  state.socket = socket;
  const ifCurrent = (act) => (...said) => socket === state.socket && session === state.session && act(...said);
  socket.on("connect", ifCurrent(() => {
    state.failures = 0;
    showStatus(status, true);
    socket.emit("online", { up: state.up });
    sendAllPending();
  }));
  socket.on("joined", ifCurrent(({ rooms }) => onJoined(rooms)));
  socket.on("left", ifCurrent(({ room }) => forget(room)));
  socket.on("chat message", ifCurrent(onMessage));
  socket.on("move", ifCurrent(({ url: there, within_s: withinS }) => {
    const status = `moved to ${new URL(there).host}`;
    setTimeout(() => socket === state.socket && listen(session, there, status), Math.random() * withinS * 500);
  }));
  socket.on("refused", ifCurrent(({ code, message }) => {
    if (TOKEN_CODES.has(code)) logOut(message);
    else if (code === "too_many_connections") {
      hangUp(); // coming back would close whoever came instead, and so on
      showStatus(message);
    }
  }));
  socket.on("connect_error", ifCurrent((error) => {
    if (TOKEN_CODES.has(error.data?.code)) logOut(error.message);
    else if (error.data?.url && state.failures === 0) {
      state.failures = 1;
      listen(session, error.data.url, "connected elsewhere");
    } else tryAgain(session, 1000 * (error.data?.retry_after ?? 0));
  }));
  socket.on("disconnect", ifCurrent(() => tryAgain(session)));
}

/** The edge says how each room was joined. Without recovery, or without a cursor, history has the rest. */
function onJoined(rooms) {
  const unknown = Object.keys(rooms).filter((id) => !state.groups.has(id));
  for (const id of unknown) state.groups.set(id, newGroup(id, id));
  if (unknown.length) loadGroups().then(paintSoon, explain);
  for (const [id, { head, recovered, missed }] of Object.entries(rooms)) {
    const group = state.groups.get(id);
    const isFirst = group.cursor === null;
    if (isFirst || !recovered) group.cursor = Math.max(head, recovered ? (group.cursor ?? -1) : -1);
    else if (missed === 0) group.cursor = Math.max(head, group.cursor);
    if (isFirst || !recovered) {
      const isShown = group.loaded || id === state.open;
      group.loaded = false;
      if (isShown) loadNewest(group);
    }
  }
  paintSoon();
}

// --- Names: until they are known, and where nobody has given one, numbers stand for people ---

/** Read what a group's people are called, and who is online: one group after another, however many wait. */
async function loadNames(group) {
  const { toName } = state;
  const isGoingOn = toName.size > 0;
  toName.add(group);
  if (isGoingOn) return;
  for (const next of toName) {
    await readNames(next);
    toName.delete(next);
    showMe();
    if (next === state.groups.get(state.open)) showMembers(next);
    paintSoon();
  }
}

async function readNames(group) {
  for (let page = 0; page !== null; ) {
    const path = `/chat/group/${inPath(group.id)}/member?page=${page}`;
    const said = await readPatiently(path, () => isHere(group), explain); // numbers do as well
    if (!said) return;
    for (const { up, name, online } of said.users) state.people.set(up, { name, online });
    page = said.nextPage;
  }
}

/** Name whoever wrote last in the groups that are seen first. Who is in one group is often in the next, too. */
async function nameAuthors() {
  const { session } = state;
  for (const group of sortedGroups().slice(0, SEEN_FIRST)) {
    const last = group.messages.at(-1);
    if (last && session === state.session && !state.people.has(last.up)) await loadNames(group);
  }
}

// --- Members ---

function showPeople(shown) {
  $("people").hidden = !shown;
  $("toggle-people").setAttribute("aria-expanded", String(shown));
  $("people-error").textContent = "";
  if (shown) loadPeople(state.groups.get(state.open));
}

function leavePeople() {
  showPeople(false);
  $("toggle-people").focus();
  paintSoon();
}

async function loadPeople(group) {
  showMembers(group);
  loadNames(group);
  await withPeople(group, async () => {
    group.users = (await read(`/chat/group/${inPath(group.id)}`)).users;
    if (group.id !== state.open) return;
    showMembers(group);
    paintSoon();
  });
}

async function changeMember(group, method, up, then) {
  await withPeople(group, async () => {
    await ask(method, `/chat/group/${inPath(group.id)}/member/${inPath(up)}`);
    then();
  });
}

/** Do something about a group's people. Why that was in vain is said while they are shown. */
async function withPeople(group, act) {
  $("people-error").textContent = "";
  await act().catch((error) => {
    const why = explain(error);
    if (group.id === state.open) $("people-error").textContent = why;
  });
}

async function createGroup() {
  const users = $("group-users").value.split(/[\s,;]+/).filter(Boolean);
  try {
    const made = await ask("POST", "/chat/group", { id: state.making, name: $("group-name").value, users });
    if (!state.groups.has(made.id)) state.groups.set(made.id, newGroup(made.id, made.name));
    state.groups.get(made.id).name = made.name; // a try that was not answered may have made it under another
    $("new-group").close();
    openGroup(made.id);
  } catch (error) {
    $("new-group-error").textContent = explain(error);
  }
}

// --- What people do ---

function onSubmit(form, act) {
  $(form).addEventListener("submit", (event) => {
    event.preventDefault();
    act();
  });
}

onSubmit("login-form", () => logIn($("token").value.trim()));
onSubmit("new-group-form", createGroup);
onSubmit("add-member", () => {
  const group = state.groups.get(state.open);
  changeMember(group, "PUT", $("new-member").value.trim(), () => {
    if (group.id !== state.open) return;
    $("add-member").reset();
    loadPeople(group);
  });
});
onSubmit("compose", () => {
  const text = $("text").value;
  if (!text.trim()) return;
  fillBox("");
  write(state.groups.get(state.open), text);
});
$("text").addEventListener("keydown", (event) => {
  // Safari has ended a composition before it tells of the key that ended it: only the key's code says so.
  if (event.key !== "Enter" || event.shiftKey || event.isComposing || event.keyCode === 229) return;
  event.preventDefault();
  $("compose").requestSubmit();
});
$("text").addEventListener("input", keepDraft);
$("messages").addEventListener("click", (event) => {
  const button = event.target.closest("button");
  if (button) takeBack(state.groups.get(state.open), button.closest(".message").dataset.id);
});
$("messages").addEventListener("scroll", () => {
  noteWhetherReadUp();
  loadWhereTopIsSeen();
});
new ResizeObserver(stayAtEnd).observe($("messages"));
$("groups").addEventListener("pointerdown", () => {
  state.pressing = true; // a group that moves now would not be where it is let go
});
for (const end of ["pointerup", "pointercancel", "contextmenu"])
  document.addEventListener(end, () => {
    state.pressing = false;
    paintSoon();
  });
$("groups").addEventListener("click", (event) => {
  const id = event.target.closest("li")?.dataset.key;
  if (state.groups.has(id)) openGroup(id); // it may have been left while the button was down
});
$("toggle-people").addEventListener("click", () => {
  showPeople($("people").hidden);
  if (!$("people").hidden) $("close-people").focus();
});
$("close-people").addEventListener("click", leavePeople);
$("people").addEventListener("keydown", (event) => {
  if (event.key === "Escape") leavePeople();
});
$("leave-group").addEventListener("click", () => {
  const group = state.groups.get(state.open);
  const dialog = $("leaving");
  $("leaving-title").textContent = `Leave ${group.name}?`;
  dialog.returnValue = "";
  dialog.onclose = () => dialog.returnValue && changeMember(group, "DELETE", state.up, () => forget(group.id));
  dialog.showModal();
});
$("back").addEventListener("click", backToGroups);
addEventListener("popstate", ({ state: id }) => {
  if (state.groups.has(id)) openGroup(id);
  else if (id) history.back(); // forward to a room that is there no more
  else if (state.open) backToGroups();
});
$("leave-chat").addEventListener("click", () => logOut());
$("open-new-group").addEventListener("click", () => {
  state.making = newId();
  $("new-group-form").reset();
  $("new-group-error").textContent = "";
  $("new-group").showModal();
});
$("cancel-new-group").addEventListener("click", () => $("new-group").close());
document.addEventListener("visibilitychange", () => {
  if (!document.hidden && state.open) {
    showRoom();
    showGroups();
  }
});

// A link may carry the token behind its #, which no server sees; it is taken out of the address at once.
const linked = new URLSearchParams(location.hash.slice(1)).get("token");
if (linked) history.replaceState(null, "", location.pathname);
addEventListener("hashchange", () => location.reload()); // such a link was opened where this page was open
const known = linked ?? sessionStorage.getItem("token");
if (known) logIn(known);
