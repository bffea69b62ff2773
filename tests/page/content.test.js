// Forms that change what is in a repository, as somebody sends them with a real browser.

import assert from "node:assert/strict";
import { after, before, test } from "node:test";

import { HOSTILE, contrasts, inspect, launch, logIn, open } from "./browser.js";
import { fillContent } from "./content.js";
import { ADMIN, Deployment } from "./deployment.js";

let browser;
let deployment;
let made;

before(async () => {
  [browser, deployment] = await Promise.all([launch(), Deployment.start()]);
  made = await fillContent(deployment);
});

after(async () => {
  await browser?.close();
  await deployment?.stop();
});

const title = (page) => page.innerText("h1");

async function send(page, button) {
  await Promise.all([page.waitForLoadState(), page.click(`main button:has-text("${button}")`)]);
  await inspect(page, button);
  await contrasts(page, button);
}

test("a commit, a conflict and a merge are made by forms, with the keyboard's Enter where that is enough", async () => {
  const page = await open(browser, deployment.url, { width: 360, scripts: true });
  await logIn(page, ADMIN);
  const lake = `/ui/repos/${made.content}`;
  await page.goto(`${lake}/uncommitted?branch=side`);
  await page.fill("#message", HOSTILE);
  await page.fill("#metadata", `why=${HOSTILE}`);
  await send(page, "Commit all that is staged");
  assert.equal(await title(page), "Committed");
  await page.click("main a:has-text('History of side')");
  assert.match(await page.innerText("ol.history li:first-child"), /onerror/);
  await page.goto(`${lake}/merge?source=side&into=main`);
  const conflict = page.waitForResponse((answer) => answer.request().method() === "POST");
  await page.click("main button:has-text('Merge into main')");
  assert.equal((await conflict).status(), 409);
  assert.equal(await title(page), "Conflict");
  page.wrong = page.wrong.filter((what) => !what.includes("409"));
  await inspect(page, "a conflict");
  await page.goBack();
  await page.check("input[value=source-wins]");
  await send(page, "Merge into main");
  assert.equal(await title(page), "Committed");
  await page.goto(`${lake}/branch/new?from=main`);
  await page.fill("#name", "by-hand");
  await page.press("#name", "Enter");
  await page.waitForURL(/history\?ref=by-hand/);
  await page.goto(`${lake}/branch/delete?name=by-hand`);
  await send(page, "Delete branch");
  assert.doesNotMatch(await page.innerText("main"), /by-hand/);
  await page.context().close();
});

test("an object's bytes are a picture or a file, and never a page", async () => {
  const page = await open(browser, deployment.url);
  await logIn(page, ADMIN);
  const lake = `/ui/repos/${made.content}`;
  await page.goto(`${lake}/object?ref=main&path=dot.png`);
  await page.waitForFunction(() => document.querySelector("main img")?.naturalWidth === 1);
  for (const path of ["page.html", "picture.svg"]) {
    await page.goto(`${lake}/object?ref=main&path=${path}`);
    const [kept] = await Promise.all([page.waitForEvent("download"), page.click("main a:has-text('Download')")]);
    assert.equal(kept.suggestedFilename(), path);
    await kept.delete();
  }
  assert.deepEqual(page.wrong, []);
  await page.context().close();
});

// Pictures for the documentation: `scripts/test-page --pictures`.
if (process.env.PAGE_PICTURES) {
  test("pictures of content", async () => {
    const lake = await deployment.repository("lake");
    const api = `/api/v1/repositories/${lake}`;
    const load = async (branch, day, message) => {
      for (const part of [0, 1]) await deployment.put(lake, branch, `orders/day=${day}/${part}.csv`, `id,amount\n${day},${part}\n`);
      return deployment.commit(lake, branch, message, { job: "nightly" });
    };
    const first = await load("main", 1, "Load orders of 1 November");
    await deployment.call("POST", `${api}/branches`, { name: "fix-prices", source: "main" });
    await load("main", 2, "Load orders of 2 November");
    await deployment.put(lake, "fix-prices", "prices/eu.csv", "sku,price\na,1\n");
    await deployment.commit(lake, "fix-prices", "Prices of the EU, with VAT");
    await load("main", 3, "Load orders of 3 November");
    await deployment.call("POST", `${api}/refs/fix-prices/merge/main`, { message: "Bring the fixed prices" });
    await load("main", 4, "Load orders of 4 November");
    const page = await open(browser, deployment.url, { width: 1000 });
    await page.setViewportSize({ width: 1000, height: 660 });
    await logIn(page, ADMIN);
    for (const [name, where] of [
      ["history", `/ui/repos/${lake}/history?ref=main`],
      ["compare", `/ui/repos/${lake}/compare?from=${first}&to=main`],
    ]) {
      await page.goto(where);
      await page.locator("main").screenshot({ path: `${process.env.PAGE_PICTURES}/${name}.png` });
    }
    await page.context().close();
  });
}
