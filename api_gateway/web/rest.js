// Asking the gateway over REST, and what its refusals mean.

import { paintSoon } from "./paint.js";
import { state } from "./state.js";

const ANSWER_MS = 40_000; // a bundle may take 30 s; after this the request hangs, as when a phone changes its network
const MAX_BACKOFF_MS = 8000;
export const LASTING = new Set(["unavailable", "history_unavailable", "overloaded", "rate_limited"]);
export const TOKEN_CODES = new Set(["missing_token", "invalid_token", "expired_token"]);

export const pause = (ms) => new Promise((done) => setTimeout(done, ms));

class Refusal extends Error {
  constructor(error, retryAfterS) {
    super(error.message);
    this.code = error.code;
    this.retryAfterMs = retryAfterS * 1000;
  }
}

export async function ask(method, path, body) {
  const { session } = state;
  const headers = { authorization: `Bearer ${state.token}` };
  if (body) headers["content-type"] = "application/json";
  const hanging = new AbortController();
  const giveUp = setTimeout(() => hanging.abort(), ANSWER_MS);
  try {
    const answer = await fetch(path, { method, headers, body: body && JSON.stringify(body), signal: hanging.signal });
    const said = await answer.json();
    if (answer.ok) return said;
    throw new Refusal(said.error, Number(answer.headers.get("retry-after")) || 0);
  } finally {
    clearTimeout(giveUp);
    if (session !== state.session) await new Promise(() => {}); // whoever asked has logged out: nobody hears the answer
  }
}

export const read = (path) => ask("GET", path);
export const inPath = encodeURIComponent;

/** How long to wait after so many failures in a row: longer each time, and at random, as other pages wait, too. */
export function backoffMs(failures, atLeastMs = 0) {
  return Math.max(atLeastMs, Math.min(MAX_BACKOFF_MS, 250 * 2 ** failures) * (0.5 + Math.random()));
}

/** Read as long as it is wanted, and tell of each try in vain. Returns null where it was refused for good. */
export async function readPatiently(path, isWanted, tell) {
  for (let failures = 0; isWanted(); failures += 1) {
    try {
      return await read(path);
    } catch (error) {
      tell(error);
      if (error instanceof Refusal && !LASTING.has(error.code)) return null;
      await pause(backoffMs(failures, error.retryAfterMs));
    }
  }
  return null;
}

export const whyOf = (error) => (error instanceof Refusal ? error.message : "The server does not answer.");

/** Say why a request was in vain. Without a good token nothing else can be done here. */
export function explain(error) {
  const why = whyOf(error);
  if (TOKEN_CODES.has(error.code)) tellBadToken(why);
  return why;
}

/** Tell chat.js, which logs out: doing so needs the modules that ask here, and modules import in one direction. */
export function tellBadToken(why) {
  dispatchEvent(new CustomEvent("bad-token", { detail: why }));
}

export function report(error, group) {
  group.fault = explain(error);
  paintSoon();
}
