// Who is who: what people are called, who is online, and the members of the open group.

import { $ } from "./nodes.js";
import { paintSoon, showMe, showMembers } from "./paint.js";
import { ask, explain, inPath, read, readPatiently } from "./rest.js";
import { isHere, sortedGroups, state } from "./state.js";

const SEEN_FIRST = 20; // groups in the list before anybody scrolls
const MAX_NAMES_WAIT_MS = 3_600_000; // somebody may never get a name, and a large group has many pages

/**
 * Read what a group's people are called, and who is online: one group after another, however many wait. Until names are
 * known, and where nobody has given one, numbers stand for people.
 */
export async function loadNames(group) {
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
  group.namesDue = Date.now() + group.namesWaitMs;
  group.namesWaitMs = Math.min(2 * group.namesWaitMs, MAX_NAMES_WAIT_MS);
  let isAnybodyUnnamed = false;
  for (let page = 0; page !== null; ) {
    const path = `/chat/group/${inPath(group.id)}/member?page=${page}`;
    const said = await readPatiently(path, () => isHere(group), explain); // numbers do as well
    if (!said) return;
    for (const { up, name, online } of said.users) {
      state.people.set(up, { name, online });
      isAnybodyUnnamed ||= !name;
    }
    page = said.nextPage;
  }
  if (!isAnybodyUnnamed) group.namesDue = Infinity;
}

/** Name whoever wrote last in the groups that are seen first. Who is in one group is often in the next, too. */
export async function nameAuthors() {
  const { session } = state;
  for (const group of sortedGroups().slice(0, SEEN_FIRST)) {
    const last = group.messages.at(-1);
    if (last && session === state.session && !state.people.has(last.up)) await loadNames(group);
  }
}

export function showPeople(shown) {
  $("people").hidden = !shown;
  $("toggle-people").setAttribute("aria-expanded", String(shown));
  $("people-error").textContent = "";
  if (shown) loadPeople(state.groups.get(state.open));
}

export function leavePeople() {
  showPeople(false);
  $("toggle-people").focus();
  paintSoon();
}

export async function loadPeople(group) {
  showMembers(group);
  loadNames(group);
  await withPeople(group, async () => {
    group.users = (await read(`/chat/group/${inPath(group.id)}`)).users;
    if (group.id !== state.open) return;
    showMembers(group);
    paintSoon();
  });
}

export async function changeMember(group, method, up, then) {
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
