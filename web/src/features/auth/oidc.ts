/** Leaves for the identity provider, with nothing lost that a guest was in the middle of. */
import { settleSessions, stopSessions, unsentDraft } from "@/features/chat/sessions";
import { oidcUrl } from "./api";
import { keepDraft } from "./kept-draft";

/** Milliseconds for answers under way to end, once they are asked to. */
const PATIENCE = 3_000;

export async function startOidc(): Promise<void> {
  // A page that is left hears no more of its answers: they end here, with what there is of them.
  await stopSessions();
  await settleSessions(AbortSignal.timeout(PATIENCE));
  keepDraft(unsentDraft());
  window.location.assign(oidcUrl(window.location.pathname));
}
