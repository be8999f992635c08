// Logging in and out.

import { closeRoom, loadGroups, narrow, openGroup } from "./groups.js";
import { connect, hangUp } from "./live.js";
import { $ } from "./nodes.js";
import { showGroups, showMe } from "./paint.js";
import { whyOf } from "./rest.js";
import { sortedGroups, state } from "./state.js";

function upOf(token) {
  const payload = token.split(".")[1].replaceAll("-", "+").replaceAll("_", "/");
  const claims = JSON.parse(atob(payload));
  const up = [claims.sub, ...Object.values(claims)].find((claim) => /^up\d{9}$/i.test(claim));
  if (!up) throw new Error("no UP number");
  return up.toLowerCase();
}

export async function logIn(token) {
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
    logOut(whyOf(error));
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

export function logOut(why = "") {
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
