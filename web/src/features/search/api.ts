/** The request of the search, and what it finds. */
import { get, type Page, query } from "@/lib/api";

/** A piece of plain text, and whether it matches. */
export interface Segment {
  text: string;
  match: boolean;
}

/** A message that matches; without `message_id` and `role`, a conversation's title. */
export interface Match {
  conversation_id: string;
  title: string;
  message_id: string | null;
  role: "user" | "assistant" | null;
  snippet: Segment[];
  created_at: string;
  score: number;
}

export interface MatchPage extends Page<Match> {
  /** Nothing was found, and these match words alike. */
  corrected: boolean;
}

/** Moments are RFC 3339; null does not narrow. */
export interface SearchFilters {
  tag: string | null;
  model: string | null;
  from: string | null;
  to: string | null;
}

export const MAX_QUERY = 200;

export function search(
  q: string,
  filters: SearchFilters,
  cursor: string | null,
  signal?: AbortSignal,
): Promise<MatchPage> {
  return get(`/api/search${query({ q, ...filters, cursor, limit: 20 })}`, signal);
}
