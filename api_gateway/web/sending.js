// Writing and sending: a message keeps its id over every retry, so it is never said twice.

import { keepNewest } from "./messages.js";
import { $ } from "./nodes.js";
import { paintSoon, showRoom } from "./paint.js";
import { LASTING } from "./rest.js";
import { isHere, state } from "./state.js";

const SEND_TIMEOUT_MS = 8000;
const RETRY_SEND_MS = 2000;
const MAX_TEXT_BYTES = 16 * 1024;

/** Let a text be what is about to be written in the open group. */
export function fillBox(text) {
  $("text").value = text;
  keepDraft();
}

export function keepDraft() {
  const text = $("text").value;
  state.groups.get(state.open).draft = text;
  $("box").dataset.text = text;
}

export function newId() {
  return [...crypto.getRandomValues(new Uint8Array(16))].map((byte) => byte.toString(16).padStart(2, "0")).join("");
}

export function write(group, text) {
  const mine = { id: newId(), up: state.up, message: text, timestamp: Date.now(), state: "sending" };
  // An edge refuses what is too large, but hangs up on a frame that is, at each try: such a one is never sent.
  if (text.length > MAX_TEXT_BYTES) Object.assign(mine, { state: "failed", why: "This is larger than allowed." });
  group.pending.push(mine);
  showRoom({ toBottom: true });
  if (mine.state !== "failed") send(group, mine);
}

/** Put what was refused back into the box, before what is there: it may do in other words, or later. */
export function takeBack(group, id) {
  const mine = group.pending.find((one) => one.id === id);
  group.pending = group.pending.filter((one) => one !== mine);
  fillBox([mine.message, group.draft].filter(Boolean).join("\n"));
  $("text").focus();
  paintSoon();
}

function send(group, mine) {
  const { socket, session } = state;
  if (!socket?.connected || !state.joined.has(group.id)) return; // sent when the edge names the group
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

export function sendPending(group) {
  for (const mine of group.pending) if (mine.state !== "failed") send(group, mine);
}
