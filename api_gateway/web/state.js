// What is known: who is logged in, the groups and what was said in them.

const MAX_KEPT = 1000;
const MAX_KEPT_OF_READ_UP = 4 * MAX_KEPT; // a page that is left so, in a busy group, would be slower with each message

export const state = {
  token: null,
  up: null,
  groups: new Map(), // by id: see newGroup
  people: new Map(), // by UP number: what the gateway has said of them; nothing yet, or no more, of some
  toName: new Set(), // the groups whose people's names are to be read; the first one's are being read
  unsent: new Map(), // by group: what waits for who was logged out, until they come again or somebody else does
  open: null, // the id of the group that is shown
  making: null, // the id of the group that is being made: each try in the open dialog makes the same one
  socket: null,
  joined: new Set(), // the groups that this connection's edge has named: any other it may not know to be ours
  failures: 0,
  previewLoads: 0, // how often what was said last was read: a later load takes the place of an earlier one
  painting: false, // whether a paint is due in the next frame
  pressing: false, // whether the pointer is down on a group
  session: 0, // grows at each log-in and log-out: what belongs to an earlier one stops
};

export function newGroup(id, name) {
  const unsent = state.unsent.get(id);
  state.unsent.delete(id);
  return {
    id,
    name,
    messages: [], // by seq
    cursor: null, // the last seq seen live: what the edge resumes from
    loaded: false, // whether the newest page was read
    readUpTo: -1, // history had all up to this seq as its newest page was read
    loads: 0, // how often that was begun: a later one takes the place of an earlier one
    complete: false, // whether the oldest message was read
    readBack: 0, // how many were read from history by scrolling up to them
    unread: 0,
    fault: "", // why it could not be read, until it can
    draft: "", // what is in the box and not sent
    pending: [], // of mine, not acked yet, in the order of writing
    users: null,
    namesDue: 0, // from when on its people's names are read again, while somebody has none: the store may be behind
    namesWaitMs: 60_000, // how long after reading them
    ...unsent,
  };
}

export const isHere = (group) => state.groups.get(group.id) === group;

/** What somebody is called: by their number, until a name is known; the log may hold one that is empty. */
export const nameOf = (up) => state.people.get(up)?.name || up;

export function sortedGroups() {
  const newest = (group) => group.messages.at(-1)?.timestamp ?? 0;
  return [...state.groups.values()].sort(
    (one, other) => newest(other) - newest(one) || one.name.localeCompare(other.name),
  );
}

/** Keep a message in its place: the log's order, each once, by its lowest seq. */
export function keep(group, message) {
  const messages = group.messages;
  const twin = messages.findIndex(({ id, up }) => id === message.id && up === message.up);
  if (twin >= 0 && messages[twin].seq <= message.seq) return false;
  if (twin >= 0) messages.splice(twin, 1);
  let at = messages.length;
  while (at > 0 && messages[at - 1].seq > message.seq) at -= 1;
  messages.splice(at, 0, message);
  if (message.up === state.up) group.pending = group.pending.filter(({ id }) => id !== message.id);
  return true;
}

/** Drop the oldest of too many messages. Where somebody reads further up more are kept, and all that they read there. */
export function makeRoom(group, isReadUp) {
  if (!isReadUp) group.readBack = 0;
  const tooMany = group.messages.length - (isReadUp ? MAX_KEPT_OF_READ_UP + group.readBack : MAX_KEPT);
  if (tooMany <= 0) return;
  group.messages.splice(0, tooMany);
  group.complete = false;
}
