// Keeps the status page up to date: fetches it again and changes what differs,
// so that a selection or a scroll position survives.
"use strict";

const every = 500; // ms
const offline = document.querySelector(".offline");

// follow makes the tree at now like the one at next.
function follow(now, next) {
  if (now.nodeType !== next.nodeType || now.nodeName !== next.nodeName) {
    now.replaceWith(document.importNode(next, true));
    return;
  }
  if (now.nodeType !== Node.ELEMENT_NODE) {
    if (now.nodeValue !== next.nodeValue) now.nodeValue = next.nodeValue;
    return;
  }
  for (const { name, value } of next.attributes) {
    if (now.getAttribute(name) !== value) now.setAttribute(name, value);
  }
  for (const { name } of [...now.attributes]) {
    if (!next.hasAttribute(name)) now.removeAttribute(name);
  }
  const have = [...now.childNodes];
  const want = [...next.childNodes];
  want.forEach((child, i) => {
    if (i < have.length) follow(have[i], child);
    else now.append(document.importNode(child, true));
  });
  have.slice(want.length).forEach((child) => child.remove());
}

async function refresh() {
  if (!document.hidden) {
    try {
      const answer = await fetch(location.pathname, { signal: AbortSignal.timeout(5000) });
      if (!answer.ok) throw new Error(answer.statusText);
      const page = new DOMParser().parseFromString(await answer.text(), "text/html");
      for (const part of ["header", "main"]) {
        follow(document.querySelector(part), page.querySelector(part));
      }
      offline.hidden = true;
    } catch {
      offline.hidden = false;
    }
  }
  setTimeout(refresh, every);
}

setTimeout(refresh, every);
