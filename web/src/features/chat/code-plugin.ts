/**
 * Syntax colours for streamdown's code blocks: shiki's core with a JavaScript regex engine, and
 * each grammar loaded when an answer first uses it. Given to streamdown by `markdown.tsx`.
 */
import type { HighlighterCore, LanguageInput } from "@shikijs/core";
import type { CodeHighlighterPlugin, HighlightResult } from "streamdown";

const LANGUAGES: Record<string, () => LanguageInput> = {
  bash: () => import("@shikijs/langs/bash"),
  c: () => import("@shikijs/langs/c"),
  css: () => import("@shikijs/langs/css"),
  diff: () => import("@shikijs/langs/diff"),
  go: () => import("@shikijs/langs/go"),
  html: () => import("@shikijs/langs/html"),
  java: () => import("@shikijs/langs/java"),
  javascript: () => import("@shikijs/langs/javascript"),
  json: () => import("@shikijs/langs/json"),
  python: () => import("@shikijs/langs/python"),
  rust: () => import("@shikijs/langs/rust"),
  sql: () => import("@shikijs/langs/sql"),
  tsx: () => import("@shikijs/langs/tsx"),
  typescript: () => import("@shikijs/langs/typescript"),
  yaml: () => import("@shikijs/langs/yaml"),
};

const ALIASES: Record<string, string> = {
  "c++": "c",
  cpp: "c",
  golang: "go",
  js: "javascript",
  jsonc: "json",
  jsx: "tsx",
  py: "python",
  rs: "rust",
  sh: "bash",
  shell: "bash",
  ts: "typescript",
  yml: "yaml",
  zsh: "bash",
};

const THEMES = ["github-light-default", "github-dark-default"] as const;

let highlighter: Promise<HighlighterCore> | undefined;
const loading = new Map<string, Promise<HighlighterCore>>();
const ready = new Map<string, HighlighterCore>();

function name(language: string): string {
  const lower = language.toLowerCase();
  return ALIASES[lower] ?? lower;
}

async function createHighlighter(): Promise<HighlighterCore> {
  const [core, engine, light, dark] = await Promise.all([
    import("@shikijs/core"),
    import("@shikijs/engine-javascript"),
    import("@shikijs/themes/github-light-default"),
    import("@shikijs/themes/github-dark-default"),
  ]);
  return core.createHighlighterCore({
    engine: engine.createJavaScriptRegexEngine({ forgiving: true }),
    themes: [light.default, dark.default],
  });
}

function load(language: string): Promise<HighlighterCore> {
  let promise = loading.get(language);
  if (promise === undefined) {
    highlighter ??= createHighlighter();
    promise = highlighter.then(async (made) => {
      const grammar = LANGUAGES[language];
      if (grammar !== undefined) await made.loadLanguage(grammar());
      ready.set(language, made);
      return made;
    });
    loading.set(language, promise);
  }
  return promise;
}

function tokens(made: HighlighterCore, code: string, language: string): HighlightResult {
  return made.codeToTokens(code, {
    lang: language,
    themes: { light: THEMES[0], dark: THEMES[1] },
  }) as HighlightResult;
}

export const codePlugin: CodeHighlighterPlugin = {
  name: "shiki",
  type: "code-highlighter",
  getSupportedLanguages: () => [...Object.keys(LANGUAGES), ...Object.keys(ALIASES)],
  getThemes: () => [...THEMES],
  supportsLanguage: (language) => name(language) in LANGUAGES,
  highlight({ code, language }, callback) {
    const lang = name(language);
    if (!(lang in LANGUAGES)) return null;
    const made = ready.get(lang);
    if (made !== undefined) return tokens(made, code, lang);
    // Uncoloured code is still code: a grammar that does not load is no error of the answer.
    load(lang).then(
      (loaded) => callback?.(tokens(loaded, code, lang)),
      () => {},
    );
    return null;
  },
};
