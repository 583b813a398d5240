/** Dark, light, or as the system says. Kept in localStorage; applied as a class on <html>. */
import { remember } from "./remember";
import { createStore } from "./store";

export type Theme = "dark" | "light" | "system";

const KEY = "tailrace.theme";
const system_is_light = window.matchMedia("(prefers-color-scheme: light)");

function stored(): Theme {
  const value = localStorage.getItem(KEY);
  return value === "dark" || value === "light" ? value : "system";
}

export const theme = createStore<Theme>(stored());

function resolvedTheme(): "dark" | "light" {
  const value = theme.get();
  if (value !== "system") return value;
  return system_is_light.matches ? "light" : "dark";
}

function apply(): void {
  document.documentElement.classList.toggle("dark", resolvedTheme() === "dark");
}

export function setTheme(next: Theme): void {
  remember(KEY, next === "system" ? null : next);
  theme.set(next);
}

/** Called once by main.tsx, before the first paint of the app. */
export function startTheme(): void {
  apply();
  theme.subscribe(apply);
  system_is_light.addEventListener("change", apply);
}
