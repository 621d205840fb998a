// spa.mjs API -- spa.js in a headless Chromium, from an origin that the API lists: through a login,
// expired tokens, two tabs, a list that grows while it is read, a change by another, a create that is
// cut twice, and a logout.
//
// The page reaches the API through a proxy of TCP, so that connections can be cut. It takes an API
// with ACCESS_TTL_S=10, CORS_ORIGINS=http://localhost:$SPA_PORT and CORS_HEADERS=traceparent.
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import http from "node:http";
import net from "node:net";
import { chromium } from "playwright-core";

const api = new URL(process.argv[2]);
const spaPort = Number(process.env.SPA_PORT ?? 8098);
const email = `spa-${Date.now()}@example.org`;
const password = "a long enough one";
const words = [];

const listen = (server, port, host) =>
  new Promise((done, failed) => server.once("error", failed).listen(port, host, () => done(server.address().port)));

// ---- what cuts, and lets meet ----

const CREATE = `POST ${api.pathname}/posts `;
const cuts = []; // "request" or "answer", for the creates to come
let cut = 0;

const REFRESH = `POST ${api.pathname}/auth/refresh `;
const waiting = []; // refreshes, until there are as many as are to meet
let meeting = 0;

function passRequest(data, client, upstream) {
  if (data.includes(REFRESH) && meeting > 0) {
    waiting.push(() => upstream.write(data));
    if (waiting.length < meeting) return;
    meeting = 0;
    return waiting.splice(0).forEach((go) => go());
  }
  if (!data.includes(CREATE) || cuts.length === 0) return upstream.write(data);
  cut++;
  if (cuts.shift() === "request") {
    upstream.write(data.subarray(0, data.indexOf("\r\n\r\n") / 2), () => upstream.destroy());
    return client.destroy();
  }
  // Half of the answer, when the API has done what it was asked for.
  upstream.removeAllListeners("data").once("data", (answer) => {
    client.write(answer.subarray(0, answer.length - 20), () => client.destroy());
    upstream.destroy();
  });
  upstream.write(data);
}

const proxy = net.createServer((client) => {
  const upstream = net.connect(Number(api.port || 80), api.hostname);
  for (const [one, other] of [[client, upstream], [upstream, client]])
    one.on("error", () => other.destroy()).on("close", () => other.destroy());
  client.on("data", (data) => passRequest(data, client, upstream));
  upstream.on("data", (data) => client.write(data));
});

// ---- the page ----

const site = http.createServer((request, response) => {
  const isScript = request.url === "/spa.js";
  response.setHeader("Content-Type", isScript ? "text/javascript" : "text/html");
  response.end(isScript
    ? readFileSync(new URL("spa.js", import.meta.url))
    : '<!doctype html><meta charset="utf-8"><title>A page</title><link rel="icon" href="data:,">' +
      '<script type="module">globalThis.app = await import("/spa.js");</script>');
});

async function openTab(context, through) {
  const page = await context.newPage();
  page.on("console", (message) => words.push(message.text()));
  page.on("pageerror", (error) => words.push(error.message));
  await page.goto(`http://localhost:${spaPort}/?api=${encodeURIComponent(through)}`);
  await page.waitForFunction(() => globalThis.app);
  page.refreshes = 0;
  page.on("request", (request) => (page.refreshes += request.url().endsWith("/auth/refresh") && request.method() === "POST"));
  return page;
}

// ---- beside the page ----

async function direct(method, path, body, token) {
  const response = await fetch(`${api}${path}`, {
    method,
    headers: { ...(body && { "Content-Type": "application/json" }), ...(token && { Authorization: `Bearer ${token}` }) },
    body: body && JSON.stringify(body),
  });
  const text = await response.text();
  return { status: response.status, body: text ? JSON.parse(text) : null };
}

// As the same user, from elsewhere; its token may expire on the way.
let ownToken;
async function own(method, path, body) {
  const answer = await direct(method, path, body, ownToken);
  if (answer.status !== 401) return answer;
  ownToken = (await direct("POST", "/auth/login", { email, password })).body.access_token;
  return direct(method, path, body, ownToken);
}

const accessToken = (page) => page.evaluate(() => JSON.parse(localStorage.getItem("tokens")).access_token);

async function hasExpired(token) {
  for (;;) {
    const { status, body } = await direct("GET", "/auth/profile", undefined, token);
    if (status === 401) return assert.equal(body.code, "token_expired");
    await new Promise((done) => setTimeout(done, 250));
  }
}

const parallel = (page, count) =>
  page.evaluate(async (n) => {
    const answers = await Promise.all(Array.from({ length: n }, () => app.call("GET", "/auth/profile")));
    return answers.map((answer) => answer.status);
  }, count);

// ---- the story ----

async function fiveCallsRefreshOnce(page) {
  await hasExpired(await accessToken(page));
  page.refreshes = 0;
  assert.deepEqual(await parallel(page, 5), Array(5).fill(200));
  assert.equal(page.refreshes, 1);
  console.log("ok five calls on an expired token, one refresh");
}

async function twoTabsStayLoggedIn(one, two) {
  for (const round of ["first", "second"]) {
    await hasExpired(await accessToken(one));
    one.refreshes = two.refreshes = 0;
    meeting = 2; // the same token at the same time
    const statuses = await Promise.all([parallel(one, 3), parallel(two, 3)]);
    assert.deepEqual(statuses.flat(), Array(6).fill(200));
    assert.deepEqual([one.refreshes, two.refreshes], [1, 1]);
    console.log("ok two tabs refresh at once, the", round, "time");
  }
}

async function aListHasNoEnd(page) {
  const title = (n) => `Post ${String(n).padStart(2, "0")}`;
  for (let n = 0; n < 25; n++)
    assert.equal((await own("POST", "/posts", { title: title(n), content: "Text." })).status, 201);
  await page.exposeFunction("another", async () => (await own("POST", "/posts", { title: "Late", content: "Text." })).status);
  const titles = await page.evaluate(async () => {
    const found = [];
    for await (const post of app.all("/posts?published=false&limit=7&total=false")) {
      if (found.length === 10) await another();
      found.push(post.title);
    }
    return found;
  });
  assert.deepEqual(titles, Array.from({ length: 25 }, (_, n) => title(24 - n)));
  console.log("ok a list by cursor, none skipped and none twice while another is written");
}

async function aChangeByAnotherIsMerged(page) {
  const { body } = await own("POST", "/posts", { title: "Old", content: "One." });
  const path = `/posts/${body.post.id}`;
  await page.exposeFunction("meddle", async () => (await own("PATCH", path, { title: "New" })).status);
  const answer = await page.evaluate(async (at) => {
    const seen = await app.call("GET", at);
    const etag = seen.headers.get("ETag");
    await meddle();
    const refused = await app.call("PATCH", at, { content: "Lost." }, { "If-Match": etag });
    const merge = (post) => ({ content: `${post.title}: two.` });
    const changed = await app.change(at, "post", { thing: seen.body.post, etag }, merge);
    return { refused: refused.status, told: refused.headers.get("ETag"), etag, changed: changed.body.post };
  }, path);
  assert.equal(answer.refused, 412);
  assert.ok(answer.told && answer.told !== answer.etag, "a 412 tells the present ETag");
  assert.deepEqual([answer.changed.title, answer.changed.content], ["New", "New: two."]);
  console.log("ok a change by another: 412, read again, and merged");
}

async function aCreateIsCutTwice(page) {
  cuts.push("request", "answer");
  cut = 0;
  const answer = await page.evaluate(async () => {
    const { status, headers, body } = await app.create("/posts", { title: "Only once", content: "Text." });
    return { status, replayed: headers.get("Idempotency-Replayed"), id: body.post.id };
  });
  const { body } = await own("GET", "/posts?published=false&limit=100");
  assert.deepEqual([answer.status, answer.replayed, cut], [201, "true", 2]);
  assert.deepEqual(body.data.filter((post) => post.title === "Only once").map((post) => post.id), [answer.id]);
  console.log("ok a create that was cut twice made one post");
}

async function logoutEndsIt(page) {
  const told = await page.evaluate(() => JSON.parse(localStorage.getItem("tokens")));
  const statuses = await page.evaluate(async () => [(await app.logout()).status, (await app.call("GET", "/auth/profile")).status]);
  assert.deepEqual(statuses, [204, 401]);
  const access = await direct("GET", "/auth/profile", undefined, told.access_token);
  const refresh = await direct("POST", "/auth/refresh", { refresh_token: told.refresh_token });
  assert.deepEqual([access.status, refresh.status], [401, 401]);
  assert.notEqual(refresh.body.code, "token_expired");
  console.log("ok a logout ends the session");
}

async function tell(context) {
  const through = `http://127.0.0.1:${await listen(proxy, 0, "127.0.0.1")}${api.pathname}`;
  assert.equal((await direct("POST", "/auth/register", { email, password })).status, 201);
  const page = await openTab(context, through);
  await page.evaluate(([who, by]) => app.login(who, by), [email, password]);
  assert.deepEqual(await parallel(page, 1), [200]);
  console.log("ok a login");
  await fiveCallsRefreshOnce(page);
  await twoTabsStayLoggedIn(page, await openTab(context, through));
  await aListHasNoEnd(page);
  await aChangeByAnotherIsMerged(page);
  await aCreateIsCutTwice(page);
  await logoutEndsIt(page);
  // Chromium itself notes answers of 400 and above, and what was cut.
  assert.deepEqual(words.filter((word) => !/status of 4\d\d|net::ERR_/.test(word)), []);
}

await listen(site, spaPort, "localhost");
const browser = await chromium.launch({
  executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium",
  args: ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
         "--disable-background-networking", "--disable-component-update", "--disable-sync"],
});
try {
  await tell(await browser.newContext());
} finally {
  await browser.close();
  for (const server of [site, proxy]) server.close();
  site.closeAllConnections();
}
