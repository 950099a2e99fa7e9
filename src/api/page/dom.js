// What all parts of the page need of the document.

export const byId = (id) => document.getElementById(id);

/** The order of names. */
export const { compare } = new Intl.Collator();

/** A new element. */
export function element(name, properties = {}, ...children) {
  const made = Object.assign(document.createElement(name), properties);
  made.append(...children);
  return made;
}

/** Sets a text, if it is another: who listens to the page hears of changes alone. */
export function say(node, text) {
  if (node.textContent !== text) node.textContent = text;
}

/** Makes `nodes` the children of `parent`, and touches none that is in its place: it may have the focus. */
export function arrange(parent, nodes) {
  const kept = new Set(nodes);
  for (const child of [...parent.children]) if (!kept.has(child)) child.remove();
  let next = parent.firstElementChild;
  for (const node of nodes) {
    if (node === next) next = next.nextElementSibling;
    else parent.insertBefore(node, next);
  }
}

/** What happened lately, by what it is about. */
const news = new Map();
const NEWS_MS = 2000;

/** Tells those who listen to the page. What comes in a burst is told as one, and of much only how much it was. */
export function announce(text, about = text) {
  if (news.size === 0) {
    setTimeout(() => {
      const texts = [...news.values()];
      news.clear();
      byId("announcer").textContent = texts.length > 3 ? `${texts.length} people changed their status` : texts.join(". ");
    }, NEWS_MS);
  }
  news.set(about, text);
}
