/** The frame of every page: the sidebar, its sheet on small screens, and the sign-in dialog. */
import { Link, Outlet, useRouterState } from "@tanstack/react-router";
import { ActivityIcon, MenuIcon, SquarePenIcon } from "lucide-react";
import { lazy, Suspense, useEffect, useState } from "react";
import { Logo } from "@/components/logo";
import { Toaster } from "@/components/toaster";
import { Button } from "@/components/ui/button";
import { Sheet, SheetContent, SheetDescription, SheetTitle } from "@/components/ui/sheet";
import { TooltipProvider } from "@/components/ui/tooltip";
import { Account } from "@/features/auth/account";
import { authDialog } from "@/features/auth/auth-dialog-state";
import { PeopleNotices } from "@/features/auth/notices";
import { ConversationList } from "@/features/chat/conversation-list";
import { overlay } from "@/features/conversations/overlay-state";
import { ConversationOverlays } from "@/features/conversations/overlays";
import { DEFAULT_RANGE } from "@/features/numbers/range";
import { SearchButton } from "@/features/search/search-button";
import { useStore } from "@/lib/store";

const AuthDialog = lazy(async () => ({
  default: (await import("@/features/auth/auth-dialog")).AuthDialog,
}));

export function Shell() {
  const [menuOpen, setMenuOpen] = useState(false);
  const auth = useStore(authDialog);
  const dialog = useStore(overlay);
  const path = useRouterState({ select: (state) => state.location.pathname });

  // biome-ignore lint/correctness/useExhaustiveDependencies: having gone somewhere closes the menu.
  useEffect(() => setMenuOpen(false), [path, auth, dialog]);

  return (
    <TooltipProvider delayDuration={400}>
      <div className="flex h-dvh overflow-hidden">
        <aside className="hidden w-68 shrink-0 border-r bg-sidebar md:block" aria-label="Sidebar">
          <Sidebar />
        </aside>
        <div className="flex min-w-0 flex-1 flex-col">
          <header className="flex h-12 shrink-0 items-center gap-1 border-b px-2 md:hidden">
            <Button
              variant="ghost"
              size="icon"
              aria-label="Open the menu"
              onClick={() => setMenuOpen(true)}
            >
              <MenuIcon />
            </Button>
            <span className="flex flex-1 items-center gap-2 font-semibold tracking-tight">
              <Logo className="size-5 text-primary" />
              Tailrace
            </span>
            <Button variant="ghost" size="icon" asChild>
              <Link to="/" aria-label="New chat">
                <SquarePenIcon />
              </Link>
            </Button>
          </header>
          <PeopleNotices />
          <main className="min-h-0 flex-1">
            <Outlet />
          </main>
        </div>
      </div>
      <Sheet open={menuOpen} onOpenChange={setMenuOpen}>
        <SheetContent side="left" className="bg-sidebar">
          <SheetTitle className="sr-only">Menu</SheetTitle>
          <SheetDescription className="sr-only">
            Conversations, numbers and account
          </SheetDescription>
          <Sidebar />
        </SheetContent>
      </Sheet>
      {auth !== null && (
        <Suspense>
          <AuthDialog />
        </Suspense>
      )}
      <ConversationOverlays />
      <Toaster />
    </TooltipProvider>
  );
}

const NAVIGATION = "w-full justify-start px-3 font-normal text-foreground/85";
const CURRENT = { className: "bg-accent text-foreground" };

function Sidebar() {
  return (
    <div className="flex h-full flex-col">
      <div className="flex h-14 shrink-0 items-center gap-2.5 px-5">
        <Logo className="size-5 text-primary" />
        <span className="font-semibold tracking-tight">Tailrace</span>
      </div>
      <nav className="space-y-0.5 px-2 pb-3" aria-label="Pages">
        <Button variant="ghost" className={NAVIGATION} asChild>
          <Link to="/" activeProps={CURRENT} activeOptions={{ exact: true }}>
            <SquarePenIcon />
            New chat
          </Link>
        </Button>
        <SearchButton className={NAVIGATION} />
        <Button variant="ghost" className={NAVIGATION} asChild>
          <Link
            to="/numbers"
            search={{ range: DEFAULT_RANGE }}
            activeProps={CURRENT}
            activeOptions={{ includeSearch: false }}
          >
            <ActivityIcon />
            Numbers
          </Link>
        </Button>
      </nav>
      <nav className="min-h-0 flex-1 overflow-y-auto px-2 pt-1" aria-label="Conversations">
        <ConversationList />
      </nav>
      <div className="p-2">
        <Account />
      </div>
    </div>
  );
}
