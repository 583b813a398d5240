/** The addresses of the page. `/` and `/c/…` share one component, see `chat-page.tsx`. */
import {
  createRootRoute,
  createRoute,
  createRouter,
  lazyRouteComponent,
} from "@tanstack/react-router";
import { ChatPage } from "@/features/chat/chat-page";
import { DEFAULT_RANGE, isRange, type Range } from "@/features/numbers/range";
import { NotFound, RouteError } from "./fallbacks";
import { Shell } from "./shell";

const root = createRootRoute({
  component: Shell,
  notFoundComponent: NotFound,
  errorComponent: RouteError,
});

const chat = createRoute({ getParentRoute: () => root, id: "chat", component: ChatPage });
const newChat = createRoute({ getParentRoute: () => chat, path: "/" });
const conversation = createRoute({ getParentRoute: () => chat, path: "/c/$conversationId" });

const numbers = createRoute({
  getParentRoute: () => root,
  path: "/numbers",
  validateSearch: (search): { range: Range } => ({
    range: isRange(search.range) ? search.range : DEFAULT_RANGE,
  }),
  component: lazyRouteComponent(() => import("@/features/numbers/numbers-page"), "NumbersPage"),
});

export const router = createRouter({
  routeTree: root.addChildren([chat.addChildren([newChat, conversation]), numbers]),
  defaultPreload: "intent",
});

declare module "@tanstack/react-router" {
  interface Register {
    router: typeof router;
  }
}
