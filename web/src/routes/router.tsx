/** The addresses of the page. `/` and `/c/…` share one component, see `chat-page.tsx`. */
import {
  createRootRoute,
  createRoute,
  createRouter,
  lazyRouteComponent,
} from "@tanstack/react-router";
import { ChatPage } from "@/features/chat/chat-page";
import { readSearch } from "@/features/numbers/search";
import { NotFound, RouteError } from "./fallbacks";
import { Root } from "./root";

const root = createRootRoute({
  component: Root,
  notFoundComponent: NotFound,
  errorComponent: RouteError,
});

const chat = createRoute({ getParentRoute: () => root, id: "chat", component: ChatPage });
const newChat = createRoute({ getParentRoute: () => chat, path: "/" });
const conversation = createRoute({ getParentRoute: () => chat, path: "/c/$conversationId" });

const numbers = createRoute({
  getParentRoute: () => root,
  path: "/numbers",
  validateSearch: readSearch,
  component: lazyRouteComponent(() => import("@/features/numbers/numbers-page"), "NumbersPage"),
});
const alerts = createRoute({
  getParentRoute: () => root,
  path: "/numbers/alerts",
  component: lazyRouteComponent(() => import("@/features/alerts/alerts-page"), "AlertsPage"),
});
const pipeline = createRoute({
  getParentRoute: () => root,
  path: "/numbers/pipeline",
  component: lazyRouteComponent(() => import("@/features/alerts/pipeline-page"), "PipelinePage"),
});

const shared = createRoute({
  getParentRoute: () => root,
  path: "/shared/$token",
  staticData: { bare: true },
  component: lazyRouteComponent(() => import("@/features/sharing/shared-page"), "SharedPage"),
});

const account = createRoute({
  getParentRoute: () => root,
  path: "/account",
  component: lazyRouteComponent(() => import("@/features/account/account-page"), "AccountPage"),
});
const admin = createRoute({
  getParentRoute: () => root,
  path: "/admin",
  component: lazyRouteComponent(() => import("@/features/admin/admin-page"), "AdminPage"),
});
const resetPassword = createRoute({
  getParentRoute: () => root,
  path: "/reset-password",
  component: lazyRouteComponent(() => import("@/features/auth/reset-page"), "ResetPage"),
});

export const router = createRouter({
  routeTree: root.addChildren([
    chat.addChildren([newChat, conversation]),
    numbers,
    alerts,
    pipeline,
    shared,
    account,
    admin,
    resetPassword,
  ]),
  defaultPreload: "intent",
});

declare module "@tanstack/react-router" {
  interface Register {
    router: typeof router;
  }
  interface StaticDataRouteOption {
    /** Stands alone, without the frame of the other pages. */
    bare?: boolean;
  }
}
