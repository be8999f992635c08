// How nodes are made, filled and kept in order, whatever they show. Texts are only ever set as text, never as markup.

export const $ = (id) => document.getElementById(id);

export function make(tag, className, text) {
  const node = document.createElement(tag);
  if (className) node.className = className;
  if (text !== undefined) node.textContent = text;
  return node;
}

export function setText(node, text) {
  if (node.textContent !== text) node.textContent = text;
}

export function paintAvatar(node, name, hueOf, extra = "") {
  let hash = 0;
  for (const letter of hueOf) hash = (hash * 31 + letter.codePointAt(0)) >>> 0;
  node.className = `avatar hue-${hash % 8} ${extra}`;
  const words = name.split(/\s+/).filter((word) => /\p{L}|\d/u.test(word));
  const isUp = /^up\d{9}$/.test(name);
  setText(node, isUp ? name.slice(-3) : words.slice(0, 2).map((word) => [...word][0].toUpperCase()).join(""));
  node.setAttribute("aria-hidden", "true");
  return node;
}

/**
 * Show one node for each thing, by its key and in their order. What stays is left where it is: a node that is made or
 * moved anew loses its focus and what is selected in it, and is read aloud again.
 */
export function paintList(list, things, makeNode, paintNode) {
  const known = new Map([...list.children].map((node) => [node.key, node]));
  const nodes = things.map((thing) => {
    const node = known.get(thing.key) ?? makeNode(thing);
    known.delete(thing.key);
    node.key = thing.key;
    paintNode(node, thing);
    return node;
  });
  for (const node of known.values()) node.remove();
  let at = list.firstChild;
  for (const node of nodes) {
    if (node.contains(document.activeElement)) while (at !== node) at = putLast(list, at);
    if (node === at) at = at.nextSibling;
    else list.insertBefore(node, at);
  }
}

/** Take a node out of the way, and return the one that was behind it. */
function putLast(list, node) {
  const next = node.nextSibling;
  list.append(node);
  return next;
}

/** Without the marks that end a sentence behind it, but with a parenthesis that closes one of its own. */
const WEB_ADDRESS = /https?:\/\/(?:\S*\([^\s()]*\)(?:\S*[^\s.,;:!?'")\]}>»…])?|\S*[^\s.,;:!?'")\]}>»…])/gi;

/** What was written, with its web addresses as links. */
export function textWithLinks(text) {
  const node = make("bdi");
  let from = 0;
  for (const { 0: address, index } of text.matchAll(WEB_ADDRESS)) {
    const link = Object.assign(make("a", "", address), { href: address, target: "_blank", rel: "noopener noreferrer" });
    node.append(text.slice(from, index), link);
    from = index + address.length;
  }
  node.append(text.slice(from));
  return node;
}
