// The groups: which there are, making one, and opening and closing one's room.

import { loadNewest } from "./messages.js";
import { $ } from "./nodes.js";
import { focusGroup, paintSoon, showGroups, showRoom } from "./paint.js";
import { loadNames, nameAuthors, showPeople } from "./people.js";
import { ask, backoffMs, explain, pause, read, readPatiently, TOKEN_CODES } from "./rest.js";
import { fillBox } from "./sending.js";
import { isHere, keep, newGroup, state } from "./state.js";

export const narrow = matchMedia("(max-width: 47.5rem)");
const touched = matchMedia("(pointer: coarse)"); // a box that has the focus brings the keyboard up, over what was said

const GROUPS = "/chat/group";
const PREVIEWS = "/chat/message?perPage=1";

export async function loadGroups() {
  keepNames(await read(GROUPS));
  await loadPreviews();
}

/** Name groups of which an edge has told: a gateway may be a moment behind it. Until then ids stand for them. */
export async function nameGroups(groups) {
  for (let looks = 0; groups.length; looks += 1) {
    const list = await readPatiently(GROUPS, () => groups.some(isHere), explain);
    if (!list) return;
    const named = keepNames(list);
    if (groups.some(({ id }) => named.has(id))) loadPreviews().catch(explain);
    paintSoon();
    await pause(backoffMs(looks));
    groups = groups.filter((group) => isHere(group) && !named.has(group.id));
  }
}

function keepNames(list) {
  for (const { id, name } of list.groups) {
    const known = state.groups.get(id);
    if (known) known.name = name;
    else state.groups.set(id, newGroup(id, name));
  }
  return new Set(list.groups.map(({ id }) => id));
}

/** Show what was said last. Where it cannot be read at once, nobody is kept waiting: this or a later load reads it. */
async function loadPreviews() {
  const { session } = state;
  const load = (state.previewLoads += 1);
  try {
    keepPreviews(await read(PREVIEWS));
  } catch (error) {
    if (TOKEN_CODES.has(error.code)) throw error;
    const isWanted = () => session === state.session && load === state.previewLoads;
    pause(backoffMs(0, error.retryAfterMs))
      .then(() => readPatiently(PREVIEWS, isWanted, explain))
      .then(keepPreviews);
  }
}

function keepPreviews(said) {
  for (const { group, messages } of said?.groups ?? []) {
    const known = state.groups.get(group);
    if (!known || known.loaded) continue;
    known.complete = messages.length === 0;
    for (const message of messages) keep(known, message);
  }
  nameAuthors();
  paintSoon();
}

/** Forget groups that neither the edge nor the gateway names. One of the two may be a moment behind. */
export async function forgetOthers(joined) {
  const before = [...state.groups.keys()]; // the answer may be older than a group that is made meanwhile
  const { groups } = await read(GROUPS);
  const ours = new Set(groups.map(({ id }) => id));
  for (const id of before) if (!ours.has(id) && !joined.has(id)) forget(id);
}

export async function createGroup() {
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

export function openGroup(id) {
  state.open = id;
  sessionStorage.setItem("open", id); // a reload, or a new token, leads back to it
  // On a phone the room is one step from the list, whichever it is: the browser's way back closes it.
  if (history.state) history.replaceState(id, "");
  else if (narrow.matches) history.pushState(id, "");
  $("chat").classList.add("reading");
  const group = state.groups.get(id);
  $("empty").hidden = true;
  $("heard").replaceChildren();
  $("compose").hidden = $("toggle-people").hidden = false;
  showRoom({ toBottom: true });
  showGroups();
  fillBox(group.draft);
  $(touched.matches ? "messages" : "text").focus();
  $("add-member").reset();
  showPeople(!$("people").hidden);
  loadNewest(group);
  if (Date.now() >= group.namesDue) loadNames(group);
}

export function backToGroups() {
  const left = state.open;
  sessionStorage.removeItem("open");
  closeRoom();
  showGroups();
  focusGroup(left);
}

export function forget(id) {
  state.groups.delete(id);
  if (state.open === id) closeRoom();
  showGroups();
}

export function closeRoom() {
  if (state.open && history.state) history.back();
  state.open = null;
  for (const shown of ["messages", "heard", "members", "room-name", "room-facts"]) $(shown).replaceChildren();
  $("text").value = "";
  $("messages").classList.remove("nothing");
  $("compose").hidden = $("to-newest").hidden = $("toggle-people").hidden = true;
  showPeople(false);
  $("leaving").close();
  $("empty").hidden = false;
  $("chat").classList.remove("reading");
}
