/** Why the identity provider sent somebody back who is not signed in, in words. */

const WORDS: Record<string, string> = {
  denied: "You were not signed in, since it was declined there.",
  expired: "Signing in took too long. Try again.",
  failed: "Signing in did not work. Try again, or tell whoever runs this.",
  no_email: "You were not signed in: your account there has no email address.",
  unverified_email:
    "There is an account with your email address here already, and it was not confirmed that the address is yours. Sign in with your password instead.",
  registration_closed: "New accounts cannot be made here. Ask whoever runs this for one.",
  account_disabled: "This account is disabled.",
};

export function signInErrorWords(code: string): string {
  return (Object.hasOwn(WORDS, code) && WORDS[code]) || "Signing in did not work. Try again.";
}
