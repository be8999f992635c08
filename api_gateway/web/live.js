// Live: the gateway says where, the edge takes cursors and gives what was missed.

import { forget, forgetOthers, nameGroups } from "./groups.js";
import { loadNewest, onMessage } from "./messages.js";
import { paintSoon, showStatus } from "./paint.js";
import { backoffMs, explain, read, tellBadToken, TOKEN_CODES } from "./rest.js";
import { sendPending } from "./sending.js";
import { newGroup, sortedGroups, state } from "./state.js";

const MAX_CURSORS = 1000;

export async function connect(session) {
  if (session !== state.session) return;
  if (state.failures === 0) showStatus("Looking for a server");
  try {
    const { url, edge, shard } = await read("/chat/location");
    if (session === state.session) listen(session, url, `${edge} · shard ${shard}`);
  } catch (error) {
    if (TOKEN_CODES.has(error.code)) tellBadToken(error.message);
    else tryAgain(session, error.retryAfterMs);
  }
}

function tryAgain(session, atLeastMs = 0) {
  if (session !== state.session) return;
  hangUp(); // the library may tell of one end twice, as "connect_error" and as "disconnect"
  showStatus("Connecting again");
  setTimeout(() => connect(session), backoffMs(state.failures, atLeastMs));
  state.failures += 1;
}

/** Close the connection and forget it: whatever it still says, also that it has ended, changes nothing. */
export function hangUp() {
  const { socket } = state;
  state.socket = null;
  socket?.close();
}

/** Connect anew where we seem to be connected: the library may not notice what a browser ended while it kept a page. */
export function connectAgain() {
  if (state.socket) tryAgain(state.session);
}

/** Where each group goes on. An edge takes so many: those that have been quiet for longest begin anew, from history. */
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
  const joined = (state.joined = new Set());
  const ifCurrent = (act) => (...said) => socket === state.socket && session === state.session && act(...said);
  socket.on("connect", ifCurrent(() => {
    state.failures = 0;
    showStatus(status, true);
    socket.emit("online", { up: state.up });
  }));
  socket.on("joined", ifCurrent(({ rooms }) => {
    const isFirst = joined.size === 0;
    for (const id of Object.keys(rooms)) joined.add(id);
    onJoined(rooms);
    for (const id of Object.keys(rooms)) sendPending(state.groups.get(id));
    // Who was removed while away is not told so.
    if (isFirst && Object.keys(auth.since).some((id) => !joined.has(id))) forgetOthers(joined).catch(explain);
  }));
  socket.on("left", ifCurrent(({ room }) => {
    joined.delete(room);
    forget(room);
  }));
  socket.on("chat message", ifCurrent(onMessage));
  socket.on("move", ifCurrent(({ url: there, within_s: withinS }) => {
    const status = `moved to ${new URL(there).host}`;
    setTimeout(() => socket === state.socket && listen(session, there, status), Math.random() * withinS * 500);
  }));
  socket.on("refused", ifCurrent(({ code, message }) => {
    if (TOKEN_CODES.has(code)) tellBadToken(message);
    else if (code === "too_many_connections") {
      hangUp(); // coming back would close whoever came instead, and so on
      showStatus(message);
    }
  }));
  socket.on("connect_error", ifCurrent((error) => {
    if (TOKEN_CODES.has(error.data?.code)) tellBadToken(error.message);
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
  if (unknown.length) nameGroups(unknown.map((id) => state.groups.get(id)));
  for (const [id, { head, recovered, missed }] of Object.entries(rooms)) {
    const group = state.groups.get(id);
    const isFirst = group.cursor === null;
    if (isFirst || !recovered) group.cursor = Math.max(head, recovered ? (group.cursor ?? -1) : -1);
    else if (missed === 0) group.cursor = Math.max(head, group.cursor);
    // What was read is not read again: that would take whoever reads further up to the end.
    const isReadAll = isFirst && group.loaded && group.readUpTo >= head;
    if (!isReadAll && (isFirst || !recovered)) {
      const isShown = group.loaded || id === state.open;
      group.loaded = false;
      if (isShown) loadNewest(group);
    }
  }
  paintSoon();
}
