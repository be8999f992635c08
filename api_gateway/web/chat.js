// A small client of the public contracts, and nothing else: where to connect and what was said over REST, live
// messages over Socket.IO. This module is what people do on the page; index.html lists what it is made of, in order.

import { backToGroups, createGroup, forget, openGroup } from "./groups.js";
import { connectAgain } from "./live.js";
import { loadWhereTopIsSeen } from "./messages.js";
import { $ } from "./nodes.js";
import { paintSoon, showGroups, showRoom, showWhatIsNew, stayAtEnd } from "./paint.js";
import { changeMember, leavePeople, loadPeople, showPeople } from "./people.js";
import { fillBox, keepDraft, newId, takeBack, write } from "./sending.js";
import { logIn, logOut } from "./session.js";
import { state } from "./state.js";

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
  $("text").focus();
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
$("to-newest").addEventListener("click", () => {
  showRoom({ toBottom: true });
  $("messages").focus(); // the button is gone
});
$("messages").addEventListener("scroll", () => {
  showWhatIsNew();
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
  const id = event.target.closest("li")?.key;
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
addEventListener("bad-token", ({ detail: why }) => logOut(why));
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
addEventListener("pageshow", ({ persisted }) => {
  if (persisted) connectAgain();
});

// A link may carry the token behind its #, which no server sees; it is taken out of the address at once.
const linked = new URLSearchParams(location.hash.slice(1)).get("token");
if (linked) history.replaceState(null, "", location.pathname);
addEventListener("hashchange", () => location.reload()); // such a link was opened where this page was open
const known = linked ?? sessionStorage.getItem("token");
if (known) logIn(known);
