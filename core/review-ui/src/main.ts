import { mount } from "svelte";
import App from "./App.svelte";
import { app } from "./app.svelte";
import { address, current } from "./router";
import "./ui/theme.css";

/** Take the one-time token out of the address, and with it out of the history of the browser. */
function takeToken(): string {
  const token = /^#token=([\w-]+)$/.exec(location.hash)?.[1] ?? "";
  if (token) history.replaceState(null, "", location.pathname + address(current));
  return token;
}

void app.enter(takeToken());
window.addEventListener("hashchange", () => {
  const token = takeToken();
  if (token) void app.enter(token);
});

mount(App, { target: document.getElementById("app")! });
