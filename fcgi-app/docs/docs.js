"use strict";
(() => {
    const base = document.body.dataset.base;
    const navigation = document.getElementById("navigation");
    const menu = document.getElementById("menu");
    let token = null; // lives as long as the page is open

    document.body.classList.add("js");
    document.getElementById("address").textContent = location.origin + base;

    // The contents, where they open over the page.
    function openMenu(open) {
        navigation.classList.toggle("open", open);
        menu.setAttribute("aria-expanded", String(open));
    }
    menu.addEventListener("click", () => openMenu(!navigation.classList.contains("open")));
    navigation.addEventListener("click", (event) => {
        if (event.target.closest("a")) openMenu(false);
    });
    document.addEventListener("keydown", (event) => {
        if (event.key === "Escape") openMenu(false);
    });

    // Which operation is being read.
    const links = new Map();
    for (const link of navigation.querySelectorAll("li a"))
        links.set(link.getAttribute("href").slice(1), link);
    const watch = new IntersectionObserver((entries) => {
        for (const entry of entries) {
            if (!entry.isIntersecting) continue;
            for (const link of links.values()) link.classList.remove("here");
            const link = links.get(entry.target.id);
            if (link) link.classList.add("here");
        }
    }, { rootMargin: "-20% 0px -70% 0px" });
    for (const id of links.keys()) {
        const target = document.getElementById(id);
        if (target) watch.observe(target);
    }

    function say(form, text, good) {
        const state = form.querySelector(".state");
        state.textContent = text;
        state.className = "state" + (good === undefined ? "" : good ? " good" : " bad");
    }

    function setToken(value) {
        token = value;
        const state = document.getElementById("token-state");
        state.textContent = token ? "with a token" : "no token";
        state.classList.toggle("known", token !== null);
        const forget = document.getElementById("forget");
        if (forget) forget.hidden = token === null;
    }

    async function call(method, path, headers, body) {
        const started = performance.now();
        const response = await fetch(base + path, {
            method, headers, body, credentials: "omit", cache: "no-store",
        });
        const text = await response.text();
        return { response, text, took: Math.round(performance.now() - started) };
    }

    // Run a form's call; whatever happens is said beside its button.
    function onSubmit(form, run) {
        const button = form.querySelector(".send button");
        form.addEventListener("submit", async (event) => {
            event.preventDefault();
            button.disabled = true;
            say(form, "Waiting …");
            try {
                await run();
            } catch (error) {
                say(form, "No answer: " + error.message, false);
            }
            button.disabled = false;
        });
    }

    // Logging in.
    const login = document.getElementById("login-form");
    if (login) {
        onSubmit(login, async () => {
            const body = JSON.stringify(Object.fromEntries(new FormData(login)));
            const { method, path, type } = login.dataset;
            const { response, text } = await call(method, path, { "Content-Type": type }, body);
            const reply = JSON.parse(text);
            if (!response.ok) {
                say(login, response.status + " " + reply.error + ": " + reply.message, false);
                return;
            }
            setToken(reply.access_token);
            say(login, "Logged in.", true);
            for (const input of login.querySelectorAll("input[type=password]")) input.value = "";
        });
        document.getElementById("forget").addEventListener("click", () => {
            setToken(null);
            say(login, "Forgotten; the session itself lives on until it is ended.");
        });
    }

    // Trying an operation.
    function pathOf(form) {
        const query = new URLSearchParams();
        let path = form.dataset.path;
        for (const input of form.querySelectorAll("[data-in]")) {
            if (input.dataset.in === "path")
                path = path.replace("{" + input.name + "}", encodeURIComponent(input.value.trim() || "-"));
            if (input.dataset.in === "query" && input.value !== "")
                query.append(input.name, input.value);
        }
        return path + (query.size ? "?" + query : "");
    }

    function readable(text) {
        try {
            return JSON.stringify(JSON.parse(text), null, 2);
        } catch {
            return text;
        }
    }

    for (const form of document.querySelectorAll(".try form")) {
        onSubmit(form, async () => {
            const headers = {};
            const body = form.querySelector("[data-in=body]");
            if (body) headers["Content-Type"] = body.dataset.type;
            for (const input of form.querySelectorAll("[data-in=header]"))
                if (input.value !== "") headers[input.name] = input.value;
            if (token && form.dataset.token === "yes") headers.Authorization = "Bearer " + token;
            const { response, text, took } = await call(
                form.dataset.method, pathOf(form), headers, body ? body.value : undefined);
            say(form, response.status + " " + response.statusText + " · " + took + " ms", response.ok);
            const reply = form.querySelector(".reply");
            const lines = [...response.headers].map(([name, value]) => name + ": " + value);
            reply.textContent = lines.join("\n") + (text ? "\n\n" + readable(text) : "");
            reply.hidden = false;
        });
    }
})();
