// Every page, as the test of all pages opens it. A page is a row: what it is called, where it is, and text that it
// has to show. `fill` makes what the pages show, each name and text of it hostile.

import { HOSTILE_NAME } from "./browser.js";
import { CONTENT, fillContent } from "./content.js";

export async function fill(deployment) {
  const repo = await deployment.repository("page-lake");
  const hostile = await deployment.key("write", HOSTILE_NAME);
  const changes = `/onward/v1/repositories/${repo}/branches/main/changes`;
  for (const n of [1, 2, 3]) {
    const put = { path: `p${n}`, address: "mem://x", checksum: "c", size: n };
    await deployment.call("POST", changes, { message: HOSTILE_NAME, changes: [{ put }] }, hostile);
  }
  return { repo, ...(await fillContent(deployment)) };
}

export const PAGES = [
  { name: "queues", where: () => "/ui/queues", shows: ["page-lake/main"] },
  { name: "queue", where: ({ repo }) => `/ui/repos/${repo}/branches/main/queue`, shows: ["Nothing waits.", "Decided last"] },
  { name: "repositories", where: () => "/ui/repos", shows: ["page-lake"] },
  { name: "deployment", where: () => "/ui/deployment", shows: ["Health", "Contention", "Events out", "Examination"] },
  { name: "sinks", where: ({ repo }) => `/ui/repos/${repo}/sinks`, shows: ["onward sink add"] },
  { name: "an op that is not known", where: ({ repo }) => `/ui/repos/${repo}/branches/main/queue?op=%3Cb%3Ex`, shows: ["'<b>x' is no op id"] },
  ...CONTENT,
];
