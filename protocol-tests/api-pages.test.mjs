// The documents as people read them, in a browser: without scripts, with nothing from elsewhere, in the dark and on a phone.

import assert from "node:assert/strict";
import { after } from "node:test";
import { launch } from "./support/chromium.mjs";
import { serverTest } from "./support/server.mjs";

const TIMEOUT = { timeout: 60_000 };
const PAGES = { "/api/docs/async": "/api/docs/async-json", "/api/docs": "/api/docs-json" };

const browser = await launch();
after(() => browser.close());

/** Opens a page in a browser that runs no scripts; `{page, complaints, asked}`. */
async function open(server, path, options) {
  const context = await browser.newContext({ javaScriptEnabled: false, ...options });
  server.adopt(() => context.close());
  const page = await context.newPage();
  const [complaints, asked] = [[], []];
  page.on("console", (message) => complaints.push(message.text()));
  page.on("request", (request) => asked.push(request.url()));
  await page.goto(server.url + path);
  return { page, complaints, asked };
}

/** Asks the page something, past that it runs no scripts of its own. */
const look = (page, what) => page.locator("html").evaluate(what);

for (const [path, json] of Object.entries(PAGES)) {
  serverTest(`${path} says all that its document does`, TIMEOUT, async (server) => {
    const { page, complaints, asked } = await open(server, path);
    const document = await (await fetch(server.url + json)).json();
    const text = await page.locator("body").innerText();
    const names = [...Object.keys(document.operations ?? {}), ...Object.keys(document.paths ?? {}), ...Object.keys(document.components.schemas)];
    const fields = Object.values(document.components.schemas).flatMap(({ properties = {} }) => Object.entries(properties).flatMap(([name, { description = "" }]) => [name, description.replaceAll("`", "")]));
    assert.ok(names.length > 15 && fields.length > 30);
    for (const word of [document.info.title, ...names, ...fields]) assert.ok(text.includes(word), `the page lacks ${word}`);
    assert.deepEqual(complaints, []);
    assert.deepEqual(asked, [server.url + path], "it needs nothing else");
  });

  serverTest(`${path}: its links lead somewhere`, TIMEOUT, async (server) => {
    const { page } = await open(server, path);
    const [links, ids] = await look(page, () => [
      [...document.querySelectorAll("a")].map((link) => link.getAttribute("href")),
      [...document.querySelectorAll("[id]")].map(({ id }) => id),
    ]);
    assert.equal(new Set(ids).size, ids.length, "no id stands for two");
    assert.ok(links.length > 20);
    for (const link of new Set(links)) {
      if (link.startsWith("#")) assert.ok(ids.includes(link.slice(1)), link);
      else assert.equal((await fetch(new URL(link, server.url + path))).status, 200, link);
    }
  });

  serverTest(`${path}: in the dark and in the light, to be read`, TIMEOUT, async (server) => {
    for (const [colorScheme, isDark] of [["light", false], ["dark", true]]) {
      const { page } = await open(server, path, { colorScheme });
      const colours = await look(page, () => {
        const luminance = (colour) => {
          const parts = colour.match(/\d+/g).slice(0, 3).map((part) => part / 255);
          const [r, g, b] = parts.map((part) => (part <= 0.04045 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4));
          return 0.2126 * r + 0.7152 * g + 0.0722 * b;
        };
        const style = (selector) => getComputedStyle(document.querySelector(selector));
        const papers = [style("body").backgroundColor, style("pre").backgroundColor];
        const inks = ["body", "a", "thead th"].map((selector) => style(selector).color);
        return { papers: papers.map(luminance), inks: inks.map(luminance) };
      });
      for (const paper of colours.papers) {
        assert.equal(paper < 0.2, isDark);
        for (const ink of colours.inks) {
          const contrast = (Math.max(ink, paper) + 0.05) / (Math.min(ink, paper) + 0.05);
          assert.ok(contrast >= 4.5, `${colorScheme}: a contrast of ${contrast}`);
        }
      }
    }
  });

  serverTest(`${path}: on a phone nothing is off the page`, TIMEOUT, async (server) => {
    const { page } = await open(server, path, { viewport: { width: 360, height: 740 } });
    const [wide, room] = await look(page, (html) => [html.scrollWidth, html.clientWidth]);
    assert.equal(wide, room);
    // What is wider scrolls by itself, with a keyboard, too.
    const loose = await look(page, () => [...document.querySelectorAll("pre, .wide")].filter(({ tabIndex }) => tabIndex !== 0).length);
    assert.equal(loose, 0);
  });

  serverTest(`${path}: the browser is told to run nothing`, TIMEOUT, async (server) => {
    const answer = await fetch(server.url + path);
    const policy = answer.headers.get("content-security-policy");
    assert.match(policy, /^default-src 'none'; style-src 'sha256-[\w+/]{43}='; /);
    assert.doesNotMatch(policy, /unsafe|https?:|\*/);
    const html = await answer.text();
    assert.doesNotMatch(html, /<script|style="|javascript:|https?:\/\//i);
    const { page } = await open(server, path, { javaScriptEnabled: true });
    await assert.rejects(page.addScriptTag({ content: "document.title = 'changed'" }));
    assert.doesNotMatch(await page.title(), /changed/);
  });
}
