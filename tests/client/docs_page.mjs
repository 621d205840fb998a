// The page that describes the API, in a headless Chromium: it loads without a word on the console,
// fits all windows, shows every operation, moves nothing while it loads, has no fault that axe finds,
// and its forms work (docs_calls.mjs).
import assert from "node:assert/strict";
import { mkdirSync, readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { chromium } from "playwright-core";
import { callsWork } from "./docs_calls.mjs";

const api = process.argv[2];
const shots = "docs-shots";
const schemes = ["light", "dark"];
const sizes = [[360, 740], [768, 1024], [1280, 900], [2560, 1440]];
const axe = readFileSync(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8");
const RULES = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa"];
const SHIFT_MAX = 0.05;
const SLOW = 50 * 1000; // bytes in a second

const words = [];

function listen(page) {
    page.on("console", (message) => words.push(`${message.type()}: ${message.text()}`));
    page.on("pageerror", (error) => words.push(`error: ${error.message}`));
    page.on("requestfailed", (request) => words.push(`failed: ${request.url()}`));
    page.on("request", (request) => {
        const url = request.url();
        if (!url.startsWith(new URL(api).origin) && !url.startsWith("data:"))
            words.push(`another host: ${url}`);
    });
}

async function openPage(browser, options, hash = "") {
    const page = await browser.newPage(options);
    listen(page);
    const response = await page.goto(`${api}/docs${hash}`);
    assert.equal(response.status(), 200);
    assert.match(response.headers()["content-security-policy"], /^default-src 'none';/);
    return page;
}

// ---- what is there ----

async function everyOperationIsThere(page) {
    const document = await (await fetch(`${api}/openapi.json`)).json();
    let count = 0;
    for (const [path, item] of Object.entries(document.paths)) {
        for (const [method, operation] of Object.entries(item)) {
            const at = `#op-${operation.operationId}`;
            const title = await page.locator(`${at} h3`).innerText();
            assert.equal(title.replaceAll(/\s+/g, " ").trim(), `${method.toUpperCase()} ${path}`);
            assert.equal(await page.locator(`nav a[href="${at}"]`).count(), 1);
            const ids = path.split("{").length - 1;
            const told = page.locator(`${at} .facts table`, { has: page.locator("caption:text('Path')") });
            assert.equal(await told.locator("tr").count(), ids, `${at}: its path's ids`);
            if (ids) assert.match(await told.innerText(), /The (user|post|session)'s id\. A UUID/);
            count++;
        }
    }
    assert.equal(await page.locator("article:not(.record)").count(), count);
    assert.match(await page.locator("#op-listPosts .facts").innerText(), /as a whole word/);
    console.log("ok", count, "operations, each with its place in the contents and its ids in words");
}

async function everythingHasItsName(page) {
    const found = await page.evaluate(() => {
        const all = (selector) => [...document.querySelectorAll(selector)];
        const twice = (names) => names.filter((name, at) => names.indexOf(name) !== at);
        const levels = all("main :is(h1, h2, h3, h4)").map((node) => Number(node.tagName[1]));
        return {
            lost: all('a[href^="#"]').map((a) => a.getAttribute("href").slice(1))
                .filter((id) => !document.getElementById(id)),
            ids: twice(all("[id]").map((node) => node.id)),
            buttons: twice(all("main button:not([role=tab])").map((node) => node.textContent)),
            summaries: twice(all("main summary").map((node) => node.textContent)),
            captions: twice(all("table").map((node) => node.caption?.textContent ?? "")),
            skipped: levels.filter((level, at) => at && level > levels[at - 1] + 1).length,
            stops: all("a[href], button, input, select, textarea, summary, [tabindex]")
                .filter((node) => node.tabIndex >= 0 && node.checkVisibility()).length,
            texts: all("pre[tabindex]").filter((pre) => !pre.ariaLabel).length,
        };
    });
    const { stops, ...faults } = found;
    assert.deepEqual(faults, { lost: [], ids: [], buttons: [], summaries: [], captions: [], skipped: 0, texts: 0 });
    console.log("ok names are there once, links lead somewhere;", stops, "tab stops");
}

// ---- how it looks ----

async function itFits(page, name) {
    const found = await page.evaluate(() => {
        const inside = (node, frame) =>
            node.getBoundingClientRect().right <= frame.getBoundingClientRect().right + 0.5;
        const out = [...document.querySelectorAll("main *, header *")]
            .filter((node) => node.getBoundingClientRect().right > innerWidth + 0.5 && node.checkVisibility())
            .map((node) => node.outerHTML.slice(0, 80));
        const wide = [...document.querySelectorAll("table")]
            .filter((table) => !inside(table, table.parentNode)).map((table) => table.caption.textContent);
        const torn = [...document.querySelectorAll(".bounds code, td > code")]
            .filter((node) => node.getClientRects().length > 1).map((node) => node.outerHTML);
        const header = document.querySelector("header");
        return {
            page: document.documentElement.scrollWidth, window: innerWidth, out, wide, torn,
            bar: header.scrollWidth - header.clientWidth,
            lines: [...header.children].filter((node) => node.offsetHeight > 40).length,
            filled: Math.max(...[...document.querySelectorAll(".sides")]
                .map((node) => node.getBoundingClientRect().right)) / innerWidth,
        };
    });
    assert.ok(found.page <= found.window, `${name}: ${found.page} pixels in ${found.window}`);
    assert.deepEqual([found.out, found.wide, found.torn, found.bar, found.lines], [[], [], [], 0, 0], name);
    assert.ok(found.filled > 0.9, `${name}: filled to ${found.filled}`);
}

async function axeFindsNothing(page, name) {
    await page.evaluate(axe);
    const faults = await page.evaluate(async (rules) => {
        const { violations } = await window.axe.run(document, { runOnly: rules });
        return violations.map((rule) => [rule.id, rule.nodes.length, rule.nodes[0].html.slice(0, 120)]);
    }, RULES);
    assert.deepEqual(faults, [], `axe, ${name}`);
}

async function openAll(page) {
    await page.evaluate(() => {
        for (const details of document.querySelectorAll("details")) details.open = true;
    });
}

async function show(page, name, places) {
    for (const place of places) {
        await page.locator(`#${place}`).evaluate((node) => node.scrollIntoView());
        await page.evaluate(() => new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done))));
        await page.screenshot({ path: `${shots}/${name}-${place}.png` });
    }
}

async function looksWell(browser) {
    for (const [width, height] of sizes) {
        for (const colorScheme of schemes) {
            const name = `${width}-${colorScheme}`;
            const page = await openPage(browser, { viewport: { width, height }, colorScheme });
            await itFits(page, name);
            await show(page, name, ["top", "minutes", "log-in", "op-createPost", "op-listPosts", "records",
                "errors", "changes"]);
            await openAll(page);
            await itFits(page, `${name}, opened`);
            await show(page, `${name}-opened`, ["op-updatePost"]);
            await axeFindsNothing(page, name);
            await page.close();
        }
    }
    const forced = await openPage(browser, { viewport: { width: 1280, height: 900 }, forcedColors: "active" });
    await show(forced, "1280-forced", ["op-createPost"]);
    await forced.close();
    console.log("ok it fits four windows in light and dark, and axe finds nothing");
}

// ---- how it loads ----

async function shiftOf(browser, width, height, hash) {
    const page = await browser.newPage({ viewport: { width, height } });
    listen(page);
    await page.addInitScript(() => {
        window.shift = 0;
        new PerformanceObserver((list) => {
            for (const entry of list.getEntries()) window.shift += entry.value;
        }).observe({ type: "layout-shift", buffered: true });
    });
    const wire = await page.context().newCDPSession(page);
    await wire.send("Network.enable");
    await wire.send("Network.emulateNetworkConditions",
        { offline: false, latency: 50, downloadThroughput: SLOW, uploadThroughput: SLOW });
    await page.goto(`${api}/docs${hash}`);
    // What the script did is laid out with the second frame, and told by then.
    await page.evaluate(() => new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done))));
    const found = await page.evaluate(() => ({
        shift: window.shift,
        bytes: performance.getEntriesByType("navigation")[0].encodedBodySize,
        requests: performance.getEntriesByType("resource").filter((entry) => /^http/.test(entry.name)).length,
        top: location.hash ? document.querySelector(location.hash).getBoundingClientRect().top : 0,
    }));
    await page.close();
    return found;
}

const BYTES_MAX = 32 * 1024; // packed: two thirds of a second on the slow link above

async function nothingMoves(browser) {
    for (const [width, height] of sizes) {
        for (const hash of ["", "#op-updatePost"]) {
            const { shift, bytes, requests, top } = await shiftOf(browser, width, height, hash);
            assert.ok(shift < SHIFT_MAX, `${width}${hash}: layout shift ${shift}`);
            assert.ok(bytes < BYTES_MAX, `${bytes} bytes`);
            assert.equal(requests, 0);
            assert.ok(top >= 0 && top < 150, `${hash} is at ${top} when the page is loaded`);
            console.log("ok layout shift", shift.toFixed(4), `at ${width} pixels${hash}, ${bytes} bytes in one request`);
        }
    }
}

async function knownIsNotSentAgain() {
    for (const path of ["docs", "openapi.json"]) {
        const first = await fetch(`${api}/${path}`);
        const tag = first.headers.get("ETag");
        await first.arrayBuffer();
        const again = await fetch(`${api}/${path}`, { headers: { "If-None-Match": tag } });
        assert.equal(again.status, 304, path);
    }
    console.log("ok what is known is not sent again");
}

// ---- the contents ----

async function contentsOpen(browser) {
    const page = await openPage(browser, { viewport: { width: 360, height: 740 } });
    const link = page.locator('nav a[href="#op-listUsers"]');
    const menu = page.getByRole("button", { name: "Contents" });
    assert.ok(!(await link.isVisible()));
    await menu.click();
    await show(page, "360-contents", ["top"]);
    await page.keyboard.press("Escape");
    assert.ok(!(await link.isVisible()));
    assert.ok(await menu.evaluate((node) => node === document.activeElement), "Escape leads back");
    await menu.click();
    await link.click();
    assert.ok(!(await link.isVisible()));
    const top = await page.locator("#op-listUsers").evaluate((node) => node.getBoundingClientRect().top);
    assert.ok(top >= 0 && top < 150);
    await page.close();
    console.log("ok the contents open and close on a narrow page");
}

async function contentsFollow(browser) {
    const page = await openPage(browser, { viewport: { width: 1280, height: 600 } });
    for (const id of ["changes", "errors", "op-deletePost", "op-register"]) {
        await page.locator(`#${id}`).evaluate((node) => node.scrollIntoView());
        await page.waitForFunction((at) =>
            document.querySelector("nav [aria-current]")?.hash === at, `#${id}`);
        const seen = await page.evaluate(() => {
            const box = document.querySelector("nav [aria-current]").getBoundingClientRect();
            return box.top >= 52 && box.bottom <= innerHeight;
        });
        assert.ok(seen, `${id} is in sight in the contents`);
    }
    const filter = page.getByLabel("Filter the contents");
    for (const [letters, ids] of [["{ID}/posts", ["listPostsOfUser"]], ["search", ["listUsers", "listPosts"]],
        ["password", ["login", "changePassword"]]]) {
        await filter.fill(letters);
        const left = await page.locator("nav li:visible a").evaluateAll((nodes) =>
            nodes.map((node) => node.hash.replace("#op-", "")));
        assert.deepEqual(left.filter((id) => !/^(forgot|reset)Password$/.test(id)), ids);
    }
    await show(page, "1280-filtered", ["op-register"]);
    await filter.fill("nothing like it");
    assert.ok(await page.getByText("Nothing has these letters.").isVisible());
    await filter.fill("");
    assert.ok((await page.locator("nav li:visible").count()) > 20);
    await page.close();
    console.log("ok the contents follow and can be filtered");
}

// ---- without a script, and on paper ----

async function readableWithoutScript(browser) {
    for (const [width, height] of sizes) {
        const page = await openPage(browser, { viewport: { width, height }, javaScriptEnabled: false });
        assert.ok(await page.locator('nav a[href="#op-listUsers"]').isVisible());
        assert.ok(await page.locator("#op-listUsers table").first().isVisible());
        assert.match(await page.locator("#top pre").innerText(), /^API=https?:\/\/./);
        for (const dead of ["form", "button", "input", ".bar"])
            assert.equal(await page.locator(`${dead}:visible`).count(), 0, dead);
        await page.screenshot({ path: `${shots}/${width}-without-script.png` });
        await page.close();
    }
    console.log("ok it can be read without JavaScript, and offers nothing that needs it");
}

async function printsWell(browser) {
    const page = await openPage(browser, { viewport: { width: 1280, height: 900 } });
    await page.emulateMedia({ media: "print" });
    const kept = await page.evaluate(() => ["h2", "h3", "h4", "caption"].map((name) =>
        getComputedStyle(document.querySelector(`#op-createPost ${name}, main ${name}`)).breakAfter));
    assert.deepEqual(kept, ["avoid", "avoid", "avoid", "avoid"]);
    assert.equal(await page.locator("nav:visible, form:visible, .bar:visible").count(), 0);
    await page.pdf({ path: `${shots}/print.pdf`, format: "A4" });
    await page.close();
    console.log("ok it prints");
}

mkdirSync(shots, { recursive: true });
const browser = await chromium.launch({
    executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium",
    args: ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
           "--disable-background-networking", "--disable-component-update", "--disable-sync"],
});
try {
    await knownIsNotSentAgain();
    await nothingMoves(browser);
    await looksWell(browser);
    const wide = await openPage(browser, { viewport: { width: 1280, height: 900 } });
    await everyOperationIsThere(wide);
    await everythingHasItsName(wide);
    await wide.close();
    await contentsOpen(browser);
    await contentsFollow(browser);
    await readableWithoutScript(browser);
    await printsWell(browser);
    assert.deepEqual(words, []);
    console.log("ok the console is silent, and no other host was asked");

    const context = await browser.newContext({ viewport: { width: 1280, height: 900 } });
    await context.grantPermissions(["clipboard-read", "clipboard-write"]);
    const page = await openPage(context, {});
    await callsWork(page, api, (name, places) => show(page, name, places));
    await axeFindsNothing(page, "with replies");
    // Chromium itself notes answers of 400 and above.
    assert.deepEqual(words.filter((word) => !/status of 4\d\d/.test(word)), []);
} finally {
    await browser.close();
}
