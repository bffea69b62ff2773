// The pages in a real browser: each in both themes, narrow and wide; logins and forms; what is live.

import assert from "node:assert/strict";
import { mkdir } from "node:fs/promises";
import { after, before, test } from "node:test";

import { HOSTILE_NAME, THEMES, WIDTHS, contrasts, inspect, launch, logIn, open } from "./browser.js";
import { ADMIN, Deployment, until } from "./deployment.js";
import { PAGES, fill } from "./pages.js";

let browser;
let deployment;
let made;

before(async () => {
  [browser, deployment] = await Promise.all([launch(), Deployment.start()]);
  made = await fill(deployment);
});

after(async () => {
  await browser?.close();
  await deployment?.stop();
});

const combined = (theme, width) => `${theme}, ${width} px`;

for (const theme of THEMES) {
  for (const width of WIDTHS) {
    test(`each page is sound: ${combined(theme, width)}`, async () => {
      const page = await open(browser, deployment.url, { theme, width });
      await page.goto("/");
      await inspect(page, "login");
      await contrasts(page, "login");
      await logIn(page, ADMIN);
      for (const { name, where, shows } of PAGES) {
        const answer = await page.goto(where(made));
        assert.equal(answer.status(), 200, name);
        const text = await page.innerText("body");
        for (const part of shows) assert.ok(text.includes(part), `${name} shows ${part}: ${text}`);
        await inspect(page, `${name}, ${combined(theme, width)}`);
        await contrasts(page, `${name}, ${combined(theme, width)}`);
      }
      await page.context().close();
    });
  }
}

test("pages need no script", async () => {
  const page = await open(browser, deployment.url, { scripts: false });
  await logIn(page, ADMIN);
  for (const { name, where, shows } of PAGES) {
    await page.goto(where(made));
    const text = await page.locator("body").innerText();
    for (const part of shows) assert.ok(text.includes(part), `${name} shows ${part}`);
  }
  await page.context().close();
});

test("the keyboard reaches the content first, and sees where it is", async () => {
  const page = await open(browser, deployment.url);
  await logIn(page, ADMIN);
  await page.goto("/ui/queues");
  await page.keyboard.press("Tab");
  assert.equal(await page.evaluate(() => document.activeElement.className), "skip");
  await page.keyboard.press("Enter");
  assert.equal(await page.evaluate(() => document.activeElement.id), "content");
  await page.keyboard.press("Tab");
  const focus = await page.evaluate(() => {
    const style = getComputedStyle(document.activeElement);
    return { inside: document.querySelector("main").contains(document.activeElement), width: style.outlineWidth };
  });
  assert.deepEqual(focus, { inside: true, width: "3px" });
  await page.context().close();
});

test("who shows a wrong secret stays out, and who logs out is out", async () => {
  const page = await open(browser, deployment.url);
  await page.goto("/ui/deployment?");
  await page.fill("#id", ADMIN.id);
  await page.fill("#secret", "wrong");
  await page.click("main button");
  assert.match(await page.innerText("[role=alert]"), /wrong/);
  assert.equal(await page.inputValue("#id"), ADMIN.id);
  page.wrong.length = 0;
  // The page that was asked for comes behind the login.
  await page.fill("#secret", ADMIN.secret);
  await page.click("main button");
  await page.waitForURL(/\/ui\/deployment/);
  const [cookie] = await page.context().cookies();
  assert.deepEqual([cookie.httpOnly, cookie.sameSite, cookie.path], [true, "Strict", "/"]);
  await page.click(".who button");
  await page.waitForURL(/\/ui\/login/);
  assert.deepEqual(await page.context().cookies(), []);
  await page.goto("/ui/repos");
  await page.waitForURL(/\/ui\/login\?next=/);
  assert.deepEqual(page.wrong, []);
  await page.context().close();
});

test("a session ends with its key, and what was sent then is not done", async () => {
  const key = await deployment.key("admin", "somebody");
  const page = await open(browser, deployment.url);
  await logIn(page, key);
  await page.goto("/ui/queues");
  await until("it is live", async () => (await page.innerText("#live-state")) === "Live.");
  const second = await page.context().newPage();
  await second.goto("/ui/deployment");
  await deployment.forget(key);
  await until("it says so", async () => (await page.innerText("#live-state")).includes("session has ended"));
  await second.click("main button");
  assert.match(await second.innerText("[role=alert]"), /nothing was done/);
  const seen = await open(browser, deployment.url);
  await logIn(seen, ADMIN);
  await seen.goto("/ui/deployment");
  assert.match(await seen.innerText("main"), /Not examined since/);
  await page.context().close();
  await seen.context().close();
});

test("a page that is live goes on where a proxy has refused it for a while", async () => {
  const page = await open(browser, deployment.url);
  await logIn(page, ADMIN);
  let refused = 0;
  await page.route("**/queues/live", (route) => (refused++ < 2 ? route.fulfill({ status: 502 }) : route.continue()));
  await page.goto("/ui/queues");
  await until("it is refused", () => refused > 0);
  await until("it is live", async () => (await page.innerText("#live-state")) === "Live.");
  assert.ok(refused > 2);
  await page.context().close();
});

test("a form without its token changes nothing", async () => {
  const page = await open(browser, deployment.url);
  await logIn(page, ADMIN);
  const other = await open(browser, deployment.url);
  await logIn(other, ADMIN);
  const stolen = await other.inputValue("input[name=token]");
  for (const change of [
    (token) => token.remove(),
    (token) => (token.value = "guessed"),
    (token, stolen) => (token.value = stolen),
  ]) {
    await page.goto("/ui/deployment");
    await page.locator("main input[name=token]").evaluate(change, stolen);
    const [answer] = await Promise.all([page.waitForResponse(/checkup$/), page.click("main button")]);
    assert.equal(answer.status(), 403);
    assert.match(await page.innerText("[role=alert]"), /not of this session/);
    await page.goto("/ui/deployment");
    assert.match(await page.innerText("main"), /Not examined since/);
  }
  await page.context().close();
  await other.context().close();
});

test("a page of another site can neither send a form nor show a page", async () => {
  const page = await open(browser, deployment.url);
  await logIn(page, ADMIN);
  // The same server by another name is another site.
  const elsewhere = deployment.url.replace("127.0.0.1", "localhost");
  page.removeAllListeners("request");
  await page.goto(`${elsewhere}/healthz`);
  const [answer] = await Promise.all([
    page.waitForResponse((response) => response.url().includes("/ui/deployment/checkup")),
    // Only a navigation that is over is not in the way of the next one.
    page.waitForURL(/\/ui\/deployment\/checkup$/),
    page.evaluate((url) => {
      const form = document.createElement("form");
      Object.assign(form, { method: "post", action: `${url}/ui/deployment/checkup` });
      document.body.append(form);
      form.submit();
    }, deployment.url),
  ]);
  assert.equal(answer.status(), 401, "the cookie does not go along");
  await page.goto(`${elsewhere}/healthz`);
  const framed = page.waitForResponse((response) => response.url().includes("/ui/login"));
  await page.evaluate((url) => {
    const frame = document.createElement("iframe");
    frame.src = `${url}/ui/login`;
    document.body.append(frame);
  }, deployment.url);
  await framed;
  await until("it is refused", async () => page.wrong.some((what) => what.includes("frame-ancestors")));
  await page.context().close();
});

test("an examination is made for administrators", async () => {
  const page = await open(browser, deployment.url);
  await logIn(page, await deployment.key("read", "reader"));
  await page.goto("/ui/deployment");
  assert.doesNotMatch(await page.innerText("main"), /Examination/);
  await page.context().close();
  const admin = await open(browser, deployment.url);
  await logIn(admin, ADMIN);
  await admin.goto("/ui/deployment");
  await admin.click("main button");
  await admin.waitForURL(/\/ui\/deployment$/);
  assert.match(await admin.innerText("main"), /redis reached/);
  await inspect(admin, "examined");
  await admin.context().close();
});

test("who waits is shown as it changes, and can be called off", async (t) => {
  const slow = await Deployment.start();
  try {
    const repo = await slow.repository("slow-lake");
    const hostile = await slow.key("write", HOSTILE_NAME);
    // The first batch from now on takes its time, and what comes meanwhile waits.
    await slow.again("prepare=pause:12000");
    const changes = `/onward/v1/repositories/${repo}/branches/main/changes?wait=false`;
    const submit = () => slow.call("POST", changes, { message: "m", allow_empty: true, changes: [] }, hostile);
    await submit();
    const page = await open(browser, slow.url, { width: 360 });
    await logIn(page, hostile);
    await page.goto(`/ui/repos/${repo}/branches/main/queue`);
    if (!(await page.innerText("main")).includes("op waits")) {
      t.skip("this program was built without points at which it can be made slow");
      return;
    }
    await inspect(page, "a queue with somebody in it");
    const waiting = page.locator("#live tbody tr", { hasText: "Call off" });
    assert.equal(await waiting.count(), 1);
    await until("it is live", async () => (await page.innerText("#live-state")) === "Live.");
    const { op_id: second } = await submit();
    await waiting.nth(1).waitFor();
    await inspect(page, "a queue that has changed");
    // What has the focus stays as it is, and what came meanwhile is shown behind that.
    const focused = await page.evaluateHandle(() => document.querySelector("#live a.act"));
    await focused.focus();
    await until("it is held", async () => (await page.innerText("#live-state")).startsWith("Held"));
    assert.ok(await focused.evaluate((link) => link.isConnected && link === document.activeElement));
    await page.focus("#op");
    await until("it goes on", async () => (await page.innerText("#live-state")) === "Live.");
    assert.equal(await focused.evaluate((link) => link.isConnected), false);
    await page.click("text=Pause");
    assert.equal(await page.innerText("#live-state"), "Paused.");
    await page.click("text=Go on");
    await page.click(`#cancel-${second}`);
    await inspect(page, "whether to call it off");
    await page.click("main button");
    await page.waitForURL(/queue\?op=/);
    await until("it is decided", async () => (await page.innerText("#live")).includes("Nothing waits."));
    await page.reload();
    assert.match(await page.innerText(".notice"), /is decided: cancelled/);
    assert.deepEqual(page.wrong, []);
    await page.context().close();
  } finally {
    await slow.stop();
  }
});

// Pictures for the documentation: `scripts/test-page --pictures`.
if (process.env.PAGE_PICTURES) {
  test("pictures", async () => {
    await mkdir(process.env.PAGE_PICTURES, { recursive: true });
    const shown = await Deployment.start();
    try {
      const repo = await shown.repository("lake");
      const loaders = [];
      for (const name of ["orders-eu", "orders-us", "clicks", "nightly-compaction"]) loaders.push(await shown.key("write", name));
      const changes = `/onward/v1/repositories/${repo}/branches/main/changes`;
      const load = (at, wait = "") => {
        const put = { path: `orders/part-${at}.parquet`, address: "s3://raw/x", checksum: "c", size: 1 };
        return shown.call("POST", changes + wait, { message: "load", changes: [{ put }] }, loaders[at % loaders.length]);
      };
      for (const many of [3, 40, 7, 1, 120]) await Promise.all([...Array(many).keys()].map((at) => load(at)));
      await shown.again("prepare=pause:9000@40");
      const page = await open(browser, shown.url, { width: 1000 });
      await logIn(page, loaders[0]);
      await page.goto(`/ui/repos/${repo}/branches/main/queue`);
      for (let at = 0; !(await page.innerText("#live")).includes("ops wait"); at += 3) {
        await Promise.all([0, 1, 2, 3, 4].map((n) => load(at + n, "?wait=false")));
      }
      await page.screenshot({ path: `${process.env.PAGE_PICTURES}/queue.png` });
      await page.context().close();
    } finally {
      await shown.stop();
    }
  });
}
