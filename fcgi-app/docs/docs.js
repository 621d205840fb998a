"use strict";
(() => {
    const byId = (id) => document.getElementById(id);
    const all = (selector, within = document) => [...within.querySelectorAll(selector)];
    const { base, refresh, who, key } = document.body.dataset;
    const root = location.origin + base;

    function make(name, attributes, ...children) {
        const node = document.createElement(name);
        for (const [at, value] of Object.entries(attributes)) node.setAttribute(at, value);
        node.append(...children);
        return node;
    }

    for (const node of all(".address")) node.textContent = root;

    // ---- the contents ----

    const navigation = byId("navigation");
    const menu = byId("menu");
    const filter = byId("filter");

    function openMenu(open) {
        navigation.classList.toggle("open", open);
        menu.setAttribute("aria-expanded", String(open));
        if (open) filter.focus();
    }
    menu.addEventListener("click", () => openMenu(!navigation.classList.contains("open")));
    navigation.addEventListener("click", (event) => {
        if (event.target.closest("a")) openMenu(false);
    });
    document.addEventListener("keydown", (event) => {
        if (event.key !== "Escape" || !navigation.classList.contains("open")) return;
        if (event.target === filter && filter.value) return; // which it clears
        openMenu(false);
        menu.focus();
    });

    // By path, by what an operation does, and by the heading for all below it.
    const has = (node, letters) => node?.textContent.toLowerCase().includes(letters) ?? false;
    filter.addEventListener("input", () => {
        const letters = filter.value.trim().toLowerCase();
        let any = false;
        for (const group of all(".group", navigation)) {
            const items = all("li", group);
            for (const item of items) {
                const article = byId(item.firstChild.hash.slice(1));
                item.hidden = ![group.querySelector("h2"), item, article.querySelector(".summary")]
                    .some((node) => has(node, letters));
            }
            group.hidden = items.every((item) => item.hidden);
            any ||= !group.hidden;
        }
        navigation.querySelector(".none").hidden = any;
    });
    filter.addEventListener("keydown", (event) => {
        if (event.key === "Enter") navigation.querySelector("li:not([hidden]) a")?.click();
    });

    // What is being read is marked, and in sight.
    const links = new Map();
    for (const link of all("li a", navigation)) links.set(link.hash.slice(1), link);
    let here = null;
    function mark(link) {
        if (link === here) return;
        here?.removeAttribute("aria-current");
        here = link;
        link.setAttribute("aria-current", "true");
        const box = link.getBoundingClientRect(), frame = navigation.getBoundingClientRect();
        if (box.top < frame.top || box.bottom > frame.bottom)
            navigation.scrollTop += box.top - frame.top - frame.height / 2;
    }
    const watch = new IntersectionObserver((entries) => {
        for (const entry of entries)
            if (entry.isIntersecting) mark(links.get(entry.target.id));
    }, { rootMargin: "-20% 0px -70% 0px" });
    for (const id of links.keys()) if (byId(id)) watch.observe(byId(id));

    // ---- the login ----

    const keep = byId("keep");
    const STORE = "login at " + root;
    let session = null; // access, refresh, until, who
    let loaded = false; // before, no text changes its length
    let refreshing = null;

    function store() {
        try {
            if (session && keep?.checked) sessionStorage.setItem(STORE, JSON.stringify(session));
            else sessionStorage.removeItem(STORE);
        } catch { /* the browser keeps nothing: then it is as unticked */ }
    }

    function timeLeft() {
        const seconds = Math.round((session.until - Date.now()) / 1000);
        if (seconds > 90) return Math.round(seconds / 60) + " min";
        if (seconds > 0) return seconds + " s";
        return session.refresh ? "expired, refreshes" : "expired";
    }

    function showSession() {
        const state = byId("token-state");
        const who = session ? session.who ?? "with a token" : "no token";
        state.replaceChildren(make("span", {}, who), session?.until ? " · " + timeLeft() : "");
        state.classList.toggle("known", session !== null);
        if (byId("forget")) byId("forget").hidden = session === null;
    }

    function setSession(value) {
        session = value;
        if (login) say(login, "");
        store();
        showSession();
        useRefreshToken();
        if (loaded) writeSnippets();
    }

    // Any answer that has one logs in; a refresh goes on with who is known already.
    function take(reply) {
        if (typeof reply?.access_token !== "string") return;
        const user = reply[key];
        setSession({
            access: reply.access_token,
            refresh: reply.refresh_token ?? session?.refresh,
            until: reply.expires_in ? Date.now() + reply.expires_in * 1000 : 0,
            who: user ? user.email ?? user.id : session?.who,
        });
    }

    const login = byId("login-form");

    async function send(method, path, headers, body, token) {
        const started = performance.now();
        const sent = { ...headers };
        if (token) sent.Authorization = "Bearer " + token;
        const response = await fetch(base + path, {
            method, headers: sent, body, credentials: "omit", cache: "no-store",
        });
        const text = await response.text();
        let reply = null;
        try {
            reply = JSON.parse(text);
        } catch { /* no JSON */ }
        return { response, text, reply, took: Math.round(performance.now() - started) };
    }

    // Once, however many calls find their token expired.
    function renew() {
        refreshing ??= (async () => {
            const { response, reply } = await send("POST", refresh,
                { "Content-Type": "application/json" },
                JSON.stringify({ refresh_token: session.refresh }));
            if (response.ok) take(reply);
            else if (response.status < 429) setSession(null);
            return response.ok;
        })().finally(() => { refreshing = null; });
        return refreshing;
    }

    // With the login's token, unless the operation takes none.
    async function call(method, path, headers, body, takes) {
        const uses = takes !== "no" && session !== null;
        const renews = uses && refresh && session.refresh;
        if (renews && session.until && session.until <= Date.now()) await renew();
        let token = uses ? session?.access : undefined;
        let answer = await send(method, path, headers, body, token);
        if (renews && answer.response.status === 401 && answer.reply?.code === "token_expired" && await renew()) {
            token = session.access;
            answer = await send(method, path, headers, body, token);
        }
        take(answer.reply);
        if (token && answer.response.status === 401 && token === session?.access &&
            answer.reply?.code !== "token_expired") setSession(null);
        return answer;
    }

    // Who is it, and is the session still there?
    async function look() {
        if (!session || !who) return;
        const { response, reply } = await call("GET", who, {}, undefined, "yes");
        if (response.ok && session)
            setSession({ ...session, who: reply[key]?.email ?? reply[key]?.id });
    }

    setInterval(() => { if (session) showSession(); }, 10000);

    // ---- forms ----

    function say(form, text, good) {
        const state = form.querySelector(".state");
        state.textContent = text;
        state.className = "state" + (good === undefined ? "" : good ? " good" : " bad");
    }

    // Run a form's call; whatever happens is said beside its button, which keeps the focus.
    function onSubmit(form, run) {
        const button = form.querySelector(".send button");
        form.addEventListener("submit", async (event) => {
            event.preventDefault();
            if (button.ariaDisabled === "true") return;
            button.ariaDisabled = "true";
            try {
                await run();
            } catch (error) {
                say(form, "No answer: " + error.message, false);
            }
            button.ariaDisabled = "false";
        });
        form.addEventListener("keydown", (event) => {
            if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) {
                event.preventDefault();
                form.requestSubmit();
            }
        });
    }

    if (login) {
        onSubmit(login, async () => {
            say(login, "Waiting …");
            const body = JSON.stringify(Object.fromEntries(new FormData(login)));
            const { method, path, type } = login.dataset;
            const { response, reply } = await call(method, path, { "Content-Type": type }, body, "no");
            if (!response.ok) {
                say(login, response.status + " " + (reply ? reply.error + ": " + reply.message : ""), false);
                return;
            }
            say(login, "Logged in.", true);
            for (const input of all("input[type=password]", login)) input.value = "";
        });
        byId("forget").addEventListener("click", () => {
            setSession(null);
            say(login, "Forgotten; the session itself lives on until it is ended.");
            login.querySelector("button").focus();
        });
        keep.addEventListener("change", store);
    }

    // What is destroyed by mistake does not come back: ask before.
    const dialog = byId("ask");
    function confirmed(form) {
        byId("ask-title").textContent = form.dataset.method + " " + pathOf(form);
        byId("ask-words").textContent = form.dataset.ask + " This cannot be undone. " +
            (session?.who ? "You are " + session.who + "." : "");
        return new Promise((resolve) => {
            let yes = false;
            byId("ask-yes").onclick = () => { yes = true; dialog.close(); };
            byId("ask-no").onclick = () => dialog.close();
            dialog.onclose = () => resolve(yes);
            dialog.showModal();
            byId("ask-no").focus();
        });
    }

    // The path with its ids and query; what stands for an id that is not given is `empty(name)`.
    function pathOf(form, empty = (name) => "{" + name + "}") {
        const query = new URLSearchParams();
        let path = form.dataset.path;
        for (const input of all("[data-in]", form)) {
            const value = input.value.trim();
            if (input.dataset.in === "path")
                path = path.replace("{" + input.name + "}", () => value
                    ? encodeURIComponent(value).replaceAll("'", "%27") : empty(input.dataset.as));
            if (input.dataset.in === "query" && input.value !== "") query.append(input.name, input.value);
        }
        return path + (query.size ? "?" + query : "");
    }

    function headersOf(form) {
        const headers = {};
        const body = form.querySelector("[data-in=body]");
        if (body) headers["Content-Type"] = body.dataset.type;
        for (const input of all("[data-in=header]", form))
            if (input.value !== "") headers[input.name] = input.value;
        return headers;
    }

    const bodyOf = (form) => form.querySelector("[data-in=body]")?.value;

    // The example of a refresh gets the token that is there, as long as nobody wrote into it.
    function useRefreshToken() {
        for (const area of all("textarea")) {
            if (!session?.refresh || area.value !== area.defaultValue) continue;
            const body = JSON.parse(area.value);
            if (!("refresh_token" in body)) continue;
            body.refresh_token = session.refresh;
            area.defaultValue = JSON.stringify(body, null, 2);
        }
    }

    // ---- what comes back ----

    const UUID = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i;
    const OF_CONNECTION = /^(connection|content-encoding|content-length|date|keep-alive|server|transfer-encoding)$/;

    // Lead on: to an operation, with its form open and the id in it.
    function lead(operation, id) {
        const article = byId("op-" + operation);
        const input = article.querySelector("[data-in=path]");
        article.querySelector(".try").open = true;
        input.value = id;
        input.dispatchEvent(new Event("input", { bubbles: true }));
        location.hash = article.id;
        input.focus({ preventScroll: true });
    }

    function linkOf(name, value, leads) {
        const row = name === "code" ? byId(value)?.closest("#errors tr") : null;
        if (row) return make("a", { href: "#" + value }, value);
        if (!leads[name] || !UUID.test(value)) return value;
        const link = make("a", { href: "#op-" + leads[name] }, value);
        link.addEventListener("click", (event) => {
            event.preventDefault();
            lead(leads[name], value);
        });
        return link;
    }

    function writeReply(pre, form, answer) {
        const leads = Object.fromEntries(
            form.dataset.leads.trim().split(" ").map((pair) => pair.split("=")));
        const text = answer.reply === null ? answer.text : JSON.stringify(answer.reply, null, 2);
        pre.textContent = "";
        let at = 0;
        for (const match of answer.reply === null ? [] : text.matchAll(/"(\w+)": "([^"\\]+)"(?=,?\n)/g)) {
            const start = match.index + match[0].length - match[2].length - 1;
            pre.append(text.slice(at, start), linkOf(match[1], match[2], leads));
            at = start + match[2].length;
        }
        pre.append(text.slice(at));
        pre.hidden = text === "";
        pre.scrollTop = 0;
    }

    // Made once for a form, so that what has the focus stays.
    function answerOf(form) {
        const place = form.querySelector(".answer");
        if (!place.firstChild) {
            const name = form.dataset.method + " " + form.dataset.path;
            const more = make("button", { type: "button" }, "Next page",
                make("span", { class: "vh" }, " of " + name));
            const heads = make("details", {},
                make("summary", {}, "Headers", make("span", { class: "vh" }, " of the reply to " + name)),
                make("pre", { class: "heads" }));
            place.append(make("pre", { class: "reply", tabindex: "0", role: "region",
                "aria-label": "Reply to " + name }), make("p", {}, more), heads);
            more.addEventListener("click", () => {
                form.elements.cursor.value = more.value;
                if (form.elements.page) form.elements.page.value = "";
                form.elements.cursor.dispatchEvent(new Event("input", { bubbles: true }));
                form.requestSubmit();
            });
        }
        return place;
    }

    function showAnswer(form, answer) {
        const { response, reply, took } = answer;
        const place = answerOf(form);
        const wait = response.headers.get("Retry-After");
        say(form, response.status + " " + response.statusText + " · " + took + " ms" +
            (wait ? " · again in " + wait + " s" : ""), response.ok || response.status === 304);
        writeReply(place.querySelector(".reply"), form, answer);
        place.querySelector(".heads").textContent = [...response.headers]
            .filter(([name]) => !OF_CONNECTION.test(name))
            .map(([name, value]) => name + ": " + value).join("\n");
        const more = place.querySelector("p button");
        const cursor = form.elements.cursor ? reply?.pagination?.next_cursor : null;
        if (!cursor && document.activeElement === more) place.querySelector(".reply").focus();
        more.value = cursor ?? "";
        more.parentNode.hidden = !cursor;
        place.hidden = false;
    }

    const forms = all(".try form");
    for (const form of forms) {
        onSubmit(form, async () => {
            if (form.dataset.ask !== undefined && !await confirmed(form)) {
                say(form, "Not sent.");
                return;
            }
            say(form, "Waiting …");
            const answer = await call(form.dataset.method, pathOf(form), headersOf(form),
                bodyOf(form), form.dataset.token);
            showAnswer(form, answer);
            if (answer.response.ok && form.dataset.ask !== undefined) await look();
            else if (answer.response.ok && session && !session.who) await look();
        });
        form.addEventListener("input", () => writeSnippet(form));
    }

    // ---- snippets ----

    const shell = (text) => "'" + text.replaceAll("'", "'\\''") + "'";
    const text = (value) => JSON.stringify(value);

    // The token as it is, or the name of a variable; nothing where none is needed.
    function bearerOf(form, variable) {
        if (form.dataset.token === "no" || (form.dataset.token === "may" && !session)) return null;
        return "Bearer " + (session?.access ?? variable);
    }

    function indent(lines, by) {
        return lines.replaceAll("\n", "\n" + by);
    }

    // A body as a literal; one that is no JSON goes as it is.
    function literal(body) {
        try {
            return "JSON.stringify(" + indent(JSON.stringify(JSON.parse(body), null, 2), "  ") + ")";
        } catch {
            return text(body);
        }
    }

    const languages = {
        curl: (form) => {
            const { method } = form.dataset, body = bodyOf(form);
            const path = pathOf(form, (name) => "$" + name);
            const bearer = bearerOf(form, "$TOKEN");
            const quote = (words) => (words.includes("$") ? '"' + words + '"' : shell(words));
            const lines = ["curl " + (method === "GET" || (method === "POST" && body !== undefined)
                ? "" : "-X " + method + " ") + quote(root + path)];
            if (bearer) lines.push("-H " + quote("Authorization: " + bearer));
            for (const [name, value] of Object.entries(headersOf(form)))
                lines.push("-H " + shell(name + ": " + value));
            if (body !== undefined) lines.push("--data-raw " + shell(body));
            return lines.join(" \\\n  ");
        },
        fetch: (form) => {
            const { method } = form.dataset, body = bodyOf(form);
            const path = pathOf(form, (name) => "${" + name + "}");
            const bearer = bearerOf(form, "${TOKEN}");
            const quote = (words) => (words.includes("${") ? "`" + words + "`" : text(words));
            const headers = Object.entries(headersOf(form))
                .map(([name, value]) => text(name) + ": " + text(value));
            if (bearer) headers.unshift("Authorization: " + quote(bearer));
            const options = [];
            if (method !== "GET") options.push("method: " + text(method));
            if (headers.length) options.push("headers: {\n    " + headers.join(",\n    ") + ",\n  }");
            if (body !== undefined) options.push("body: " + literal(body));
            return "const response = await fetch(" + quote(root + path) +
                (options.length ? ", {\n  " + options.join(",\n  ") + ",\n}" : "") +
                ");\nconsole.log(response.status, await response.text());";
        },
        Python: (form) => {
            const { method } = form.dataset, body = bodyOf(form);
            const path = pathOf(form, (name) => "{" + name + "}");
            const bearer = bearerOf(form, "{TOKEN}");
            const quote = (words) => (/\{[A-Z_]+\}/.test(words) ? "f" : "") + text(words);
            const headers = Object.entries(headersOf(form))
                .map(([name, value]) => text(name) + ": " + text(value));
            if (bearer) headers.unshift('"Authorization": ' + quote(bearer));
            const options = [quote(root + path)];
            if (method !== "GET") options.push("method=" + text(method));
            if (headers.length) options.push("headers={\n        " + headers.join(",\n        ") + ",\n    }");
            if (body !== undefined)
                options.push("data=r'''" + body.replaceAll("'", "\\u0027") + "'''.encode()");
            return "from urllib.request import Request, urlopen\n\nrequest = Request(\n    " +
                options.join(",\n    ") + ",\n)\nwith urlopen(request) as response:\n" +
                "    print(response.status, response.read().decode())";
        },
    };
    let language = "curl";

    // Tokens are there as a whole, for copying, and shown in part.
    function writeSnippet(form) {
        const code = form.closest("article").querySelector(".snippet code");
        const words = languages[language](form);
        const secrets = [session?.access, session?.refresh].filter(Boolean);
        const parts = secrets.length
            ? words.split(new RegExp("(" + secrets.join("|").replaceAll(".", "\\.") + ")")) : [words];
        code.textContent = "";
        for (const part of parts)
            code.append(secrets.includes(part) ? make("span", { class: "secret" }, part) : part);
    }

    function writeSnippets() {
        for (const form of forms) writeSnippet(form);
    }

    // At the beginning the page has curl, without the origin.
    function choose(name) {
        language = name;
        for (const tab of all("[role=tab]")) {
            const chosen = tab.textContent === name;
            tab.setAttribute("aria-selected", String(chosen));
            tab.tabIndex = chosen ? 0 : -1;
            if (chosen) byId(tab.getAttribute("aria-controls")).setAttribute("aria-labelledby", tab.id);
        }
        if (loaded) writeSnippets();
    }

    function step(event) {
        const tabs = all("[role=tab]", event.currentTarget);
        const at = tabs.indexOf(event.target);
        const to = { ArrowRight: at + 1, ArrowLeft: at - 1, Home: 0, End: -1 }[event.key];
        if (to === undefined || at < 0) return;
        event.preventDefault();
        const tab = tabs.at(to % tabs.length);
        choose(tab.textContent);
        tab.focus();
    }

    // Where the browser lets nobody write to the clipboard (plain HTTP), the text is selected.
    async function copy(button, pre) {
        const form = pre.closest("article")?.querySelector(".try form");
        const code = pre.querySelector("code");
        let done = true;
        if (form) writeSnippet(form);
        try {
            await navigator.clipboard.writeText(code.textContent);
        } catch {
            getSelection().selectAllChildren(code);
            done = document.execCommand("copy");
        }
        byId("said").textContent = button.firstChild.data = done ? "Copied" : "Selected";
        setTimeout(() => {
            button.firstChild.data = "Copy";
            byId("said").textContent = "";
        }, 2000);
    }

    for (const bar of all(".bar")) {
        const pre = bar.nextElementSibling;
        const article = bar.closest("article");
        const title = article ? article.querySelector("h3").textContent : pre.id;
        const button = make("button", { type: "button" }, "Copy",
            make("span", { class: "vh" }, " the example of " + title));
        button.addEventListener("click", () => copy(button, pre));
        const tabs = make("div", {});
        if (article) {
            pre.id = "code-" + article.id;
            pre.setAttribute("role", "tabpanel");
            tabs.setAttribute("role", "tablist");
            tabs.setAttribute("aria-label", "Language of the example of " + title);
            for (const name of Object.keys(languages)) {
                const tab = make("button", { type: "button", role: "tab", id: name + "-" + article.id,
                    "aria-controls": pre.id }, name);
                tab.addEventListener("click", () => choose(name));
                tabs.append(tab);
            }
            tabs.addEventListener("keydown", step);
        }
        bar.append(tabs, button);
    }
    choose(language);

    // ---- what was kept over a reload ----

    try {
        const kept = JSON.parse(sessionStorage.getItem(STORE));
        if (kept && keep) {
            keep.checked = true;
            setSession(kept);
        }
    } catch { /* nothing */ }
    loaded = true;
})();
