/** The foot of the sidebar: who is here, what a guest has left, the theme, signing in and out. */
import { Link } from "@tanstack/react-router";
import {
  ChevronsUpDownIcon,
  LogInIcon,
  LogOutIcon,
  MonitorIcon,
  MoonIcon,
  SunIcon,
  UserRoundCogIcon,
  UserRoundIcon,
  UsersRoundIcon,
} from "lucide-react";
import type { ReactNode } from "react";
import { Button } from "@/components/ui/button";
import {
  DropdownMenu,
  DropdownMenuContent,
  DropdownMenuItem,
  DropdownMenuLabel,
  DropdownMenuRadioGroup,
  DropdownMenuRadioItem,
  DropdownMenuSeparator,
  DropdownMenuTrigger,
} from "@/components/ui/dropdown-menu";
import type { Me } from "@/lib/api";
import { plural } from "@/lib/format";
import { useStore } from "@/lib/store";
import { setTheme, type Theme, theme } from "@/lib/theme";
import { openAuth } from "./auth-dialog-state";
import { useMe, useSignOut } from "./use-me";

export function Account() {
  const { data: me } = useMe();
  const sign_out = useSignOut();
  if (me === undefined) return <div className="h-13" />;
  const is_user = me.kind === "user";
  const name = me.email ?? "Guest";
  return (
    <div className="space-y-2">
      {!is_user && <GuestAllowance me={me} />}
      <DropdownMenu modal={false}>
        <DropdownMenuTrigger asChild>
          <Button
            variant="ghost"
            className="h-11 w-full justify-start gap-2.5 px-2 font-normal"
            aria-label={`${name}, account and theme`}
          >
            <span className="flex size-7 shrink-0 items-center justify-center rounded-full bg-secondary text-secondary-foreground">
              <UserRoundIcon />
            </span>
            <span className="min-w-0 flex-1 truncate text-left text-foreground">{name}</span>
            <ChevronsUpDownIcon />
          </Button>
        </DropdownMenuTrigger>
        <DropdownMenuContent
          side="top"
          align="start"
          className="w-(--radix-dropdown-menu-trigger-width)"
        >
          {me.role === "admin" && <DropdownMenuLabel>Administrator</DropdownMenuLabel>}
          <ThemeChoice />
          <DropdownMenuSeparator />
          {is_user && (
            <DropdownMenuItem asChild>
              <Link to="/account">
                <UserRoundCogIcon />
                Account
              </Link>
            </DropdownMenuItem>
          )}
          {me.role === "admin" && (
            <DropdownMenuItem asChild>
              <Link to="/admin">
                <UsersRoundIcon />
                Users
              </Link>
            </DropdownMenuItem>
          )}
          {is_user ? (
            <DropdownMenuItem onSelect={() => sign_out.mutate()}>
              <LogOutIcon />
              Sign out
            </DropdownMenuItem>
          ) : (
            <DropdownMenuItem onSelect={() => openAuth("login")}>
              <LogInIcon />
              Sign in
            </DropdownMenuItem>
          )}
        </DropdownMenuContent>
      </DropdownMenu>
    </div>
  );
}

function GuestAllowance({ me }: { me: Me }) {
  const { guest_limit: limit, guest_remaining: left } = me;
  return (
    <div className="space-y-2.5 rounded-lg border bg-card/60 p-3">
      {limit !== null && left !== null && (
        <>
          <p className="text-xs text-muted-foreground">
            {left === 0
              ? "No messages left as a guest"
              : `${plural(left, "message")} left as a guest`}
          </p>
          <div
            role="progressbar"
            aria-label="Messages left as a guest"
            aria-valuenow={left}
            aria-valuemin={0}
            aria-valuemax={limit}
            className="h-1 overflow-hidden rounded-full bg-secondary"
          >
            <div
              className="h-full rounded-full bg-primary transition-[width]"
              style={{ width: `${limit === 0 ? 0 : (100 * left) / limit}%` }}
            />
          </div>
        </>
      )}
      <Button size="sm" variant="secondary" className="w-full" onClick={() => openAuth("login")}>
        Sign in
      </Button>
    </div>
  );
}

const THEMES: { value: Theme; label: string; icon: ReactNode }[] = [
  { value: "dark", label: "Dark", icon: <MoonIcon /> },
  { value: "light", label: "Light", icon: <SunIcon /> },
  { value: "system", label: "As the system", icon: <MonitorIcon /> },
];

function ThemeChoice() {
  const current = useStore(theme);
  return (
    <DropdownMenuRadioGroup value={current} onValueChange={(value) => setTheme(value as Theme)}>
      {THEMES.map(({ value, label, icon }) => (
        <DropdownMenuRadioItem key={value} value={value}>
          {icon}
          {label}
        </DropdownMenuRadioItem>
      ))}
    </DropdownMenuRadioGroup>
  );
}
