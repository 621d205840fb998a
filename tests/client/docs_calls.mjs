// What the forms of the page do: they send, log in and go on with a login, ask first, lead on, and
// make snippets that work.
import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";

const PASSWORD = "engine of numbers";
let api, page;

const form = (id) => page.locator(`#op-${id} .try form`);
const bar = () => page.locator("#token-state");
const newEmail = () => `page-${Date.now()}-${Math.floor(Math.random() * 1e6)}@example.org`;

async function post(path, body) {
    const response = await fetch(api + path, {
        method: "POST",
        headers: { "Content-Type": "application/json" },
        body: JSON.stringify(body),
    });
    return { status: response.status, reply: await response.json() };
}

async function register() {
    const email = newEmail();
    assert.equal((await post("/auth/register", { email, password: PASSWORD })).status, 201);
    return email;
}

async function open(id) {
    await page.locator(`#op-${id} details.try`).evaluate((node) => { node.open = true; });
    return form(id);
}

async function answered(id, status) {
    await page.waitForFunction(
        ([at, start]) => document.querySelector(at).textContent.startsWith(start),
        [`#op-${id} .state`, String(status)]);
    return page.locator(`#op-${id} .reply`).innerText();
}

async function send(id, status) {
    const before = page.waitForResponse((response) => response.request().method() !== "OPTIONS");
    await form(id).getByRole("button", { name: "Send" }).click();
    await before;
    return answered(id, status);
}

async function sendAfterAsking(id, status) {
    await form(id).getByRole("button", { name: "Send" }).click();
    await page.locator("#ask").waitFor();
    await page.getByRole("button", { name: "Send it" }).click();
    return answered(id, status);
}

async function logIn(email, password) {
    await page.locator("#login-form [name=email]").fill(email);
    await page.locator("#login-form [name=password]").fill(password);
    await page.getByRole("button", { name: "Log in", exact: true }).click();
}

// ---- one point each ----

async function repliesComeFirst() {
    await open("createPost");
    await form("createPost").locator("textarea")
        .fill('{"title": "From the page", "content": "<b>Text</b>", "published": true}');
    const refused = await send("createPost", 401);
    assert.match(refused, /^\{\n/, "the body comes first");
    assert.match(refused, /"code": "no_token"/);
    assert.equal(await page.locator("#op-createPost .reply a").innerText(), "no_token");
    const heads = page.locator("#op-createPost .answer details");
    assert.ok(!(await heads.locator("pre").isVisible()), "headers are folded");
    const lines = await heads.locator("pre").evaluate((node) => node.textContent);
    assert.match(lines, /^x-request-id: /m);
    assert.doesNotMatch(lines, /^(connection|date|server|content-length):/m);
    console.log("ok a reply begins with its body");
}

async function sendKeepsTheFocus() {
    const button = form("createPost").getByRole("button", { name: "Send" });
    await button.focus();
    await page.keyboard.press("Enter");
    await answered("createPost", 401);
    assert.ok(await button.evaluate((node) => node === document.activeElement));
    await form("createPost").locator("textarea").focus();
    const asked = page.waitForResponse((response) => response.url().endsWith("/posts"));
    await page.keyboard.press("Control+Enter");
    await asked;
    console.log("ok Send keeps the focus, and Ctrl+Enter sends");
}

async function theLoginLogsIn(email) {
    await logIn(email, "a wrong one");
    await page.getByText("401 Invalid credentials").waitFor();
    await logIn(email, PASSWORD);
    await page.getByText(`${email} · 15 min`).waitFor();
    const reply = await send("createPost", 201);
    assert.match(reply, /"title": "From the page"/);
    assert.match(reply, /<b>Text<\/b>/);
    assert.ok(!page.url().includes("eyJ"));
    await page.getByRole("button", { name: "Forget the token" }).click();
    await page.getByText("no token", { exact: true }).waitFor();

    await open("login");
    await form("login").locator("textarea").fill(JSON.stringify({ email, password: PASSWORD }));
    await send("login", 200);
    await page.getByText(`${email} · 15 min`).waitFor();
    console.log("ok a login in any form logs the page in, and says who and how long");
}

async function idsLeadOn() {
    const id = await page.locator("#op-createPost .reply a").first().innerText();
    await page.locator("#op-createPost .reply a").first().click();
    assert.equal(await form("getPost").locator("[name=id]").inputValue(), id);
    assert.match(await send("getPost", 200), /<b>Text<\/b>/);
    const author = page.locator("#op-getPost .reply a").nth(1);
    const user = await author.innerText();
    await author.click();
    assert.equal(await form("getUser").locator("[name=id]").inputValue(), user);
    assert.match(await send("getUser", 200), new RegExp(user));
    console.log("ok ids lead on");
}

async function anIdMustBeThere() {
    let sent = 0;
    const count = (request) => { sent += request.url().includes("/posts/"); };
    page.on("request", count);
    await open("deletePost");
    await form("deletePost").getByRole("button", { name: "Send" }).click();
    assert.ok(await form("deletePost").locator("[name=id]").evaluate((node) => node.validity.valueMissing));
    assert.equal(sent, 0);
    page.off("request", count);
    const codes = [];
    for (const id of ["no-uuid", "01890a5d-ac96-774b-bcce-b302099a8057"]) {
        await form("getPost").locator("[name=id]").fill(id);
        codes.push(/"code": "(\w+)"/.exec(await send("getPost", 404))[1]);
    }
    assert.deepEqual(codes, ["post_not_found", "post_not_found"]);
    console.log("ok an id must be there, and a malformed one is an unknown one");
}

async function nextPage() {
    for (let i = 0; i < 2; i++) await send("createPost", 201);
    await open("listPosts");
    await form("listPosts").locator("[name=limit]").fill("1");
    const first = await send("listPosts", 200);
    const more = page.locator("#op-listPosts").getByRole("button", { name: "Next page" });
    await more.focus();
    await page.keyboard.press("Enter");
    await page.waitForFunction((was) =>
        document.querySelector("#op-listPosts .reply").innerText !== was, first);
    const second = await page.locator("#op-listPosts .reply").innerText();
    assert.doesNotMatch(second, /"page": /);
    assert.ok(await more.evaluate((node) => node === document.activeElement));
    console.log("ok the next page is a press away");
}

async function asksFirst() {
    let sent = 0;
    const count = (request) => { sent += request.method() === "DELETE"; };
    page.on("request", count);
    await open("deleteProfile");
    const button = form("deleteProfile").getByRole("button", { name: "Send" });
    await button.click();
    await page.locator("#ask").waitFor();
    assert.match(await page.locator("#ask").innerText(), /DELETE \/auth\/profile[^]*cannot be undone/);
    await page.screenshot({ path: "docs-shots/1280-light-ask.png" });
    await page.keyboard.press("Escape");
    await form("deleteProfile").getByText("Not sent.").waitFor();
    assert.ok(await button.evaluate((node) => node === document.activeElement));
    assert.equal(sent, 0);
    page.off("request", count);
    console.log("ok what cannot be undone asks first");
}

// Two calls find their token expired: one refresh, and both go on.
async function anExpiredTokenIsRefreshedOnce() {
    const expired = { error: "Invalid token", code: "token_expired", message: "m", request_id: "r" };
    const seen = new Set();
    let refreshes = 0;
    await page.route(/\/auth\/(profile|sessions)$/, async (route) => {
        const path = new URL(route.request().url()).pathname;
        if (seen.has(path)) return route.continue();
        seen.add(path);
        return route.fulfill({ status: 401, json: expired });
    });
    const count = (request) => { refreshes += request.url().endsWith("/auth/refresh"); };
    page.on("request", count);
    await open("getProfile");
    await open("listSessions");
    await page.evaluate(() => {
        for (const id of ["getProfile", "listSessions"])
            document.querySelector(`#op-${id} .try form`).requestSubmit();
    });
    await answered("getProfile", 200);
    await answered("listSessions", 200);
    assert.equal(refreshes, 1);
    page.off("request", count);
    await page.unroute(/\/auth\/(profile|sessions)$/);
    console.log("ok an expired token is refreshed once");
}

async function keptOnlyWhenTicked(email) {
    await page.reload();
    assert.equal(await bar().innerText(), "no token");
    await logIn(email, PASSWORD);
    await page.getByText(`${email} · 15 min`).waitFor();
    await page.locator("#keep").check();
    await page.reload();
    await page.getByText(`${email} · 15 min`).waitFor();
    await page.locator("#keep").uncheck();
    await page.reload();
    assert.equal(await bar().innerText(), "no token");
    assert.equal(page.url().split("#")[0], `${api}/docs`);
    console.log("ok a login is kept over a reload only when ticked");
}

async function logoutLogsOut(email) {
    await logIn(email, PASSWORD);
    await page.getByText(`${email} · 15 min`).waitFor();
    await open("logout");
    assert.doesNotMatch(await form("logout").locator("textarea").inputValue(), /true/);
    await sendAfterAsking("logout", 204);
    await page.getByText("no token", { exact: true }).waitFor();
    console.log("ok after logout the bar says so");
}

// ---- snippets ----

async function copied(id, language) {
    const place = page.locator(`#op-${id}`);
    await place.getByRole("tab", { name: language, exact: true }).click();
    await place.getByRole("button", { name: "Copy" }).click();
    await place.getByRole("button", { name: "Copied" }).waitFor();
    return page.evaluate(() => navigator.clipboard.readText());
}

const run = {
    curl: (text) => execFileSync("bash", ["-c", text], { encoding: "utf8" }),
    fetch: (text) => execFileSync("node", ["--input-type=module", "-e", text], { encoding: "utf8" }),
    Python: (text) => execFileSync("python3", ["-c", text], { encoding: "utf8" }),
};

async function snippetsWork(email) {
    await logIn(email, PASSWORD);
    await page.getByText(`${email} · 15 min`).waitFor();
    await open("createPost");
    const title = `It's "one" \\ $HOME \`x\` ${Date.now()}`;
    await form("createPost").locator("textarea").fill(JSON.stringify({ title, content: "ä\n'''\n€", published: true }));
    await open("listPosts");
    await form("listPosts").locator("[name=q]").fill("l'été & co");
    for (const language of Object.keys(run)) {
        const made = run[language](await copied("createPost", language));
        assert.ok(made.includes(JSON.stringify(title).slice(1, -1)), `${language}: ${made}`);
        assert.match(run[language](await copied("listPosts", language)), /"pagination"/);
        assert.match(run[language](await copied("getProfile", language)), new RegExp(email));
        await page.locator("#op-createPost").evaluate((node) => node.scrollIntoView());
        await page.screenshot({ path: `docs-shots/1280-light-${language}.png` });
    }
    const tab = page.locator("#op-getUser").getByRole("tab", { name: "Python" });
    await tab.focus();
    await page.keyboard.press("ArrowRight");
    assert.equal(await page.evaluate(() => document.activeElement.id), "curl-op-getUser");
    console.log("ok snippets in three languages work as copied");
}

async function theStoryRuns() {
    const email = newEmail();
    const text = (await page.locator("#story").innerText()).replaceAll("ada@example.org", email);
    const out = run.curl(`set -e\n${text}`);
    assert.match(out, new RegExp(`"email":"${email}"`));
    assert.match(out, /"post":\{/);
    assert.match(out, /"pagination":\{/);
    console.log("ok five minutes can be typed");
}

// What the forms are filled with, sent as it is, in the order of the page.
async function theFormsTellOneStory() {
    await page.reload();
    const email = newEmail(), later = newEmail();
    const story = [["register", 201], ["login", 200], ["getProfile", 200], ["refresh", 200],
        ["listSessions", 200], ["createPost", 201], ["listPosts", 200], ["listUsers", 200],
        ["changeEmail", 200], ["changePassword", 204], ["deleteProfile", 204]];
    for (const [id, status] of story) {
        const area = (await open(id)).locator("textarea");
        if (await area.count()) {
            const body = await area.inputValue();
            const mine = body.replace("ada@example.org", email).replace("countess@example.org", later);
            if (mine !== body) await area.fill(mine);
        }
        if (await form(id).evaluate((node) => "ask" in node.dataset)) await sendAfterAsking(id, status);
        else await send(id, status);
    }
    await page.getByText("no token", { exact: true }).waitFor();
    console.log("ok the forms tell one story");
}

async function theDocumentIsADownload() {
    const link = page.getByRole("link", { name: /^OpenAPI document, version / });
    const [download] = await Promise.all([page.waitForEvent("download"), link.click()]);
    const { info } = await (await fetch(`${api}/openapi.json`)).json();
    assert.equal(download.suggestedFilename(), `openapi-${info.version}.json`);
    assert.ok(await page.locator("#changes li").count() > 0);
    console.log("ok the document is a download with its version, and has its changes");
}

export async function callsWork(thePage, theApi, show) {
    page = thePage;
    api = theApi;
    const email = await register();
    await repliesComeFirst();
    await sendKeepsTheFocus();
    await theLoginLogsIn(email);
    await idsLeadOn();
    await anIdMustBeThere();
    await nextPage();
    await asksFirst();
    await anExpiredTokenIsRefreshedOnce();
    await show("1280-light-called", ["op-createPost", "op-listPosts", "log-in"]);
    await page.setViewportSize({ width: 360, height: 740 });
    await show("360-light-called", ["op-listPosts", "log-in"]);
    await page.locator("#op-listPosts .reply").evaluate((node) => node.scrollIntoView());
    await page.screenshot({ path: "docs-shots/360-light-reply.png" });
    await page.setViewportSize({ width: 1280, height: 900 });
    await keptOnlyWhenTicked(email);
    await logoutLogsOut(email);
    await snippetsWork(email);
    await theStoryRuns();
    await theDocumentIsADownload();
    await theFormsTellOneStory();
}
