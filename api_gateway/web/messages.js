// What was said in a group: read from history page by page, and kept as it comes.

import { $ } from "./nodes.js";
import { hear, isInSight, isRead, isReadUp, NEAR_PX, paintSoon, showRoom, showUnread } from "./paint.js";
import { loadNames } from "./people.js";
import { backoffMs, inPath, pause, readPatiently, report } from "./rest.js";
import { isHere, keep, makeRoom, nameOf, state } from "./state.js";

const PAGE = 50;

const messagesOf = (group) => `/chat/${inPath(group.id)}/message?perPage=${PAGE}`;

/** Read the newest page, until history holds all that was said before this client listened. */
export async function loadNewest(group) {
  if (group.loaded) return;
  const load = (group.loads += 1);
  const isWanted = () => isHere(group) && load === group.loads;
  const until = group.cursor ?? -1;
  for (let looks = 0; ; looks += 1) {
    const page = await readPatiently(messagesOf(group), isWanted, (error) => report(error, group));
    if (!page || !isWanted()) return;
    group.fault = "";
    startFrom(group, page.messages);
    group.loaded = true;
    group.readUpTo = page.storedUpTo;
    if (group.id === state.open) {
      showRoom({ toBottom: looks === 0 });
      loadWhereTopIsSeen();
    }
    if (page.storedUpTo >= until) break;
    await pause(backoffMs(looks));
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
export function loadWhereTopIsSeen() {
  const group = state.groups.get(state.open);
  if (group && $("messages").scrollTop < NEAR_PX) loadOlder(group);
}

async function loadOlder(group) {
  if (group.complete || group.loading || !group.messages.length) return;
  group.loading = true;
  const oldest = group.messages[0];
  const isWanted = () => isHere(group) && group.messages[0] === oldest; // else they would stand before a hole
  const path = `${messagesOf(group)}&before=${oldest.seq}`;
  const page = await readPatiently(path, isWanted, (error) => report(error, group));
  group.loading = false;
  if (!page && isWanted()) return; // refused for good
  group.fault = "";
  if (isWanted()) {
    group.complete = page.messages.length < PAGE;
    group.readBack += page.messages.length;
    for (const message of page.messages) keep(group, message);
  }
  if (group.id === state.open) showRoom({ keepPlace: true });
  loadWhereTopIsSeen();
}

/** Keep a message that was said now, live or by its ack; the oldest make room. Says whether it is new. */
export function keepNewest(group, message) {
  const isNew = keep(group, message);
  if (isNew) makeRoom(group, isReadUp(group));
  return isNew;
}

export function onMessage(message) {
  const group = state.groups.get(message.room);
  if (!group) return;
  group.cursor = Math.max(group.cursor ?? -1, message.seq);
  if (!keepNewest(group, message)) return;
  if (message.up !== state.up) {
    if (isInSight(group)) hear(`${nameOf(message.up)}: ${message.message}`);
    if (!isRead(group)) group.unread += 1;
    showUnread(); // nothing is painted in a hidden tab
  }
  const isUnknown = !state.people.has(message.up);
  if (isUnknown) state.people.set(message.up, {}); // asked for once: they may have left
  const isUnnamed = nameOf(message.up) === message.up && Date.now() >= group.namesDue && isInSight(group);
  if (isUnknown || isUnnamed) loadNames(group);
  paintSoon();
}
