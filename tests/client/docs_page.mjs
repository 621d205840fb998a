// The page that describes the API, in a headless Chromium: it loads without a word on the console,
// shows every operation, fits narrow and wide windows, and its forms work.
import assert from "node:assert/strict";
import { mkdirSync } from "node:fs";
import { chromium } from "playwright-core";

const api = process.argv[2];
const shots = "docs-shots";
const words = [];
const schemes = ["light", "dark"];
const sizes = [[380, 800], [1400, 1000]];

async function openPage(browser, width, height, colorScheme, options = {}) {
    const page = await browser.newPage({ viewport: { width, height }, colorScheme, ...options });
    page.on("console", (message) => words.push(`${message.type()}: ${message.text()}`));
    page.on("pageerror", (error) => words.push(`error: ${error.message}`));
    page.on("requestfailed", (request) => words.push(`failed: ${request.url()}`));
    page.on("request", (request) => {
        const url = request.url();
        if (!url.startsWith(new URL(api).origin) && !url.startsWith("data:"))
            words.push(`another host: ${url}`);
    });
    const response = await page.goto(`${api}/docs`);
    assert.equal(response.status(), 200);
    assert.match(response.headers()["content-security-policy"], /^default-src 'none';/);
    return page;
}

async function everyOperationIsThere(page) {
    const document = await (await fetch(`${api}/openapi.json`)).json();
    let count = 0;
    for (const [path, item] of Object.entries(document.paths)) {
        for (const [method, operation] of Object.entries(item)) {
            const title = page.locator(`#op-${operation.operationId} h3`);
            const words = (await title.innerText()).replaceAll(/\s+/g, " ").trim();
            assert.equal(words, `${method.toUpperCase()} ${path}`);
            assert.equal(await page.locator(`nav a[href="#op-${operation.operationId}"]`).count(), 1);
            count++;
        }
    }
    assert.equal(await page.locator("article:not(.record)").count(), count);
    console.log("ok", count, "operations, each with its place in the contents");
}

async function itFits(page, name) {
    const [wide, window] = await page.evaluate(() => [document.documentElement.scrollWidth, innerWidth]);
    assert.ok(wide <= window, `${name}: ${wide} pixels in a window of ${window}`);
}

async function register(email) {
    const response = await fetch(`${api}/auth/register`, {
        method: "POST",
        headers: { "Content-Type": "application/json" },
        body: JSON.stringify({ email, password: "a long enough one" }),
    });
    assert.equal(response.status, 201);
}

async function send(page, id, status) {
    const form = page.locator(`#op-${id} form`);
    await form.getByRole("button", { name: "Send" }).click();
    await form.locator(".reply").waitFor();
    await page.waitForFunction(
        ([at, start]) => document.querySelector(at).textContent.startsWith(start),
        [`#op-${id} .state`, String(status)]);
    return form.locator(".reply").innerText();
}

async function open(page, id) {
    await page.locator(`#op-${id} details summary`).click();
    return page.locator(`#op-${id} form`);
}

async function formsWork(page) {
    const email = `page-${Date.now()}@example.org`;
    await register(email);
    const write = await open(page, "createPost");
    await write.locator("textarea").fill('{"title": "From the page", "content": "<b>Text</b>"}');
    assert.match(await send(page, "createPost", 401), /"code": "no_token"/);

    await page.locator("#login-form [name=email]").fill(email);
    await page.locator("#login-form [name=password]").fill("a wrong one");
    await page.getByRole("button", { name: "Log in" }).click();
    await page.getByText("401 Invalid credentials").waitFor();
    await page.locator("#login-form [name=password]").fill("a long enough one");
    await page.getByRole("button", { name: "Log in" }).click();
    await page.getByText("with a token", { exact: true }).waitFor();

    const reply = await send(page, "createPost", 201);
    assert.match(reply, /"title": "From the page"/);
    assert.match(reply, /<b>Text<\/b>/);
    const id = /"id": "([0-9a-f-]+)"/.exec(reply)[1];

    const read = await open(page, "getPost");
    await read.locator("[name=id]").fill(id);
    assert.match(await send(page, "getPost", 200), /<b>Text<\/b>/);

    const list = await open(page, "listPosts");
    await list.locator("[name=published]").selectOption("false");
    await list.locator("[name=limit]").fill("1");
    assert.match(await send(page, "listPosts", 200), /"limit": 1/);
    await page.getByRole("button", { name: "Forget the token" }).click();
    await page.getByText("no token", { exact: true }).waitFor();
    assert.match(await send(page, "listPosts", 401), /"code": "no_token"/);
    console.log("ok the login and the forms work");
}

async function contentsOpen(page) {
    const link = page.locator('nav a[href="#op-listUsers"]');
    assert.ok(!(await link.isVisible()));
    await page.getByRole("button", { name: "Contents" }).click();
    await link.click();
    assert.ok(!(await link.isVisible()));
    assert.ok(await page.locator("#op-listUsers").evaluate((node) => {
        node.scrollIntoView({ behavior: "instant" });
        return node.getBoundingClientRect().top < innerHeight;
    }));
    console.log("ok the contents open and close on a narrow page");
}

async function readableWithoutScript(browser) {
    const page = await openPage(browser, 380, 800, "light", { javaScriptEnabled: false });
    assert.ok(await page.locator('nav a[href="#op-listUsers"]').isVisible());
    assert.ok(await page.locator("#op-listUsers table").first().isVisible());
    await page.close();
    console.log("ok it can be read without JavaScript");
}

async function show(page, name, places) {
    for (const place of places) {
        await page.locator(`#${place}`).evaluate((node) => node.scrollIntoView({ behavior: "instant" }));
        await page.waitForTimeout(200);
        await page.screenshot({ path: `${shots}/${name}-${place}.png` });
    }
}

mkdirSync(shots, { recursive: true });
const browser = await chromium.launch({
    executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium",
    args: ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
           "--disable-background-networking", "--disable-component-update", "--disable-sync"],
});
try {
    for (const [width, height] of sizes) {
        for (const scheme of schemes) {
            const page = await openPage(browser, width, height, scheme);
            await itFits(page, `${width} ${scheme}`);
            await show(page, `${width}-${scheme}`, ["top", "op-createPost", "op-listPosts", "records", "errors"]);
            await page.close();
        }
    }
    const wide = await openPage(browser, 1400, 1000, "light");
    await everyOperationIsThere(wide);
    assert.deepEqual(words, []);
    const narrow = await openPage(browser, 380, 800, "light");
    await contentsOpen(narrow);
    await readableWithoutScript(browser);
    assert.deepEqual(words, []);
    console.log("ok the console is silent, and no other host was asked");

    await formsWork(wide);
    await show(wide, "1400-light-called", ["op-createPost", "op-listPosts", "log-in"]);
    // Chromium itself notes answers of 400 and above.
    assert.deepEqual(words.filter((word) => !/status of 4\d\d/.test(word)), []);
} finally {
    await browser.close();
}
