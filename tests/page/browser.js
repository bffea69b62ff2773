// A browser, and what has to hold of every page that it shows.

import assert from "node:assert/strict";
import { chromium } from "playwright-core";

export const THEMES = ["light", "dark"];
export const WIDTHS = [360, 1440];

// Runs where something that was given as text is taken for a page, and sets what is asserted to be unset.
export const HOSTILE = `<img src=x onerror="window.hostile=1"><script>window.hostile=1</script>"'><svg onload="window.hostile=1">`;

// A name of at most 100 bytes for the same.
export const HOSTILE_NAME = `"'><img src=x onerror=window.hostile=1><script>window.hostile=1</script>`;

export async function launch() {
  return chromium.launch({ executablePath: process.env.CHROMIUM || "/usr/bin/chromium", args: ["--no-sandbox"] });
}

// A window of a browser that knows nothing yet; what goes wrong in it is kept in `page.wrong`.
export async function open(browser, url, { theme = "light", width = 1440, scripts = true } = {}) {
  const context = await browser.newContext({
    baseURL: url,
    colorScheme: theme,
    viewport: { width, height: 900 },
    javaScriptEnabled: scripts,
  });
  const page = await context.newPage();
  page.wrong = [];
  page.on("console", (message) => {
    if (["error", "warning"].includes(message.type())) page.wrong.push(`console: ${message.text()}`);
  });
  page.on("pageerror", (error) => page.wrong.push(`script: ${error}`));
  page.on("request", (request) => {
    if (!request.url().startsWith(url)) page.wrong.push(`a request to elsewhere: ${request.url()}`);
  });
  return page;
}

export async function logIn(page, key) {
  await page.goto("/");
  await page.fill("#id", key.id);
  await page.fill("#secret", key.secret);
  await page.click("main button");
  await page.waitForURL(/\/ui\/queues$/);
}

// What has to hold of a page, whatever it shows.
export async function inspect(page, where) {
  const found = await page.evaluate(() => {
    const named = (control) =>
      control.labels?.length > 0 || control.getAttribute("aria-label") || control.getAttribute("aria-labelledby");
    const controls = [...document.querySelectorAll("input:not([type=hidden]), select, textarea")];
    const ids = [...document.querySelectorAll("[id]")].map((element) => element.id);
    return {
      hostile: window.hostile,
      overflow: document.documentElement.scrollWidth - document.documentElement.clientWidth,
      unlabelled: controls.filter((control) => !named(control)).map((control) => control.outerHTML),
      unnamed: [...document.querySelectorAll("a, button")]
        .filter((control) => !control.hidden && !(control.textContent.trim() || control.getAttribute("aria-label")))
        .map((control) => control.outerHTML),
      imagesWithoutText: [...document.querySelectorAll("img:not([alt])")].map((image) => image.outerHTML),
      headings: [...document.querySelectorAll("h1")].length,
      landmarks: ["main", "header", "footer"].filter((name) => !document.querySelector(name)),
      headless: [...document.querySelectorAll("table")].filter((table) => !table.querySelector("th[scope]")).length,
      unguarded: [...document.querySelectorAll("form[method=post]")]
        .filter((form) => !form.action.endsWith("/ui/login") && !form.querySelector("input[name=token]"))
        .map((form) => form.action),
      inline: document.querySelectorAll("style, script:not([src]), [style], [onclick]").length,
      twice: ids.filter((id, at) => ids.indexOf(id) !== at),
      language: document.documentElement.lang,
      title: document.title,
    };
  });
  const { title, ...rest } = found;
  assert.match(title, / · Onward$/, where);
  assert.deepEqual(
    rest,
    {
      hostile: undefined,
      overflow: 0,
      unlabelled: [],
      unnamed: [],
      imagesWithoutText: [],
      headings: 1,
      landmarks: [],
      headless: 0,
      unguarded: [],
      inline: 0,
      twice: [],
      language: "en",
    },
    where,
  );
  assert.deepEqual(page.wrong, [], where);
}

// The contrast of all text with what is behind it: 4.5 at the least (WCAG 2.2, 1.4.3).
export async function contrasts(page, where) {
  const low = await page.evaluate(() => {
    const parse = (color) => color.match(/[\d.]+/g).map(Number);
    const light = ([r, g, b]) => {
      const linear = [r, g, b].map((part) => (part /= 255) <= 0.04045 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4);
      return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2];
    };
    const behind = (element) => {
      for (let at = element; at; at = at.parentElement) {
        const color = parse(getComputedStyle(at).backgroundColor);
        if (color.length === 3 || color[3] > 0) return color;
      }
      return [255, 255, 255];
    };
    const low = new Set();
    const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
    while (walker.nextNode()) {
      const element = walker.currentNode.parentElement;
      if (!walker.currentNode.textContent.trim() || !element.checkVisibility()) continue;
      const [a, b] = [parse(getComputedStyle(element).color), behind(element)].map(light).sort((a, b) => b - a);
      const contrast = (a + 0.05) / (b + 0.05);
      if (contrast < 4.5) low.add(`${element.tagName} ${element.textContent.trim().slice(0, 30)}: ${contrast.toFixed(2)}`);
    }
    return [...low];
  });
  assert.deepEqual(low, [], where);
}
