/** The route `/account`: who one is here, and what one can do about it. */
import { Busy } from "@/components/loading";
import { PageMessage } from "@/components/page-message";
import { Button } from "@/components/ui/button";
import { Skeleton } from "@/components/ui/skeleton";
import { openAuth } from "@/features/auth/auth-dialog-state";
import { useMe } from "@/features/auth/use-me";
import { TransferSection } from "@/features/transfer/transfer-section";
import type { Me } from "@/lib/api";
import { sentence } from "@/lib/problem";
import { DeleteSection } from "./delete-section";
import { KeysSection } from "./keys-section";
import { NoPasswordSection, PasswordSection } from "./password-section";
import { SessionsSection } from "./sessions-section";
import { UsageSection } from "./usage-section";

export function AccountPage() {
  const me = useMe();
  return (
    <div className="h-full overflow-y-auto">
      <title>Account · Tailrace</title>
      <div className="mx-auto max-w-3xl space-y-3 px-4 pt-5 pb-10 sm:px-6 sm:pt-6">
        {me.data === undefined ? (
          <PageSkeleton error={me.error} retry={() => void me.refetch()} />
        ) : me.data.kind === "guest" ? (
          <NotSignedIn />
        ) : (
          <Sections key={me.data.id} me={me.data} email={me.data.email ?? ""} />
        )}
      </div>
    </div>
  );
}

function Sections({ me, email }: { me: Me; email: string }) {
  return (
    <>
      <div className="pb-2">
        <h1 className="text-xl font-semibold tracking-tight">Account</h1>
        <p className="mt-0.5 text-sm break-words text-muted-foreground">
          Signed in as {email}
          {me.role === "admin" && ", administrator"}
        </p>
      </div>
      <UsageSection />
      <KeysSection is_admin={me.role === "admin"} />
      <SessionsSection />
      {me.has_password ? <PasswordSection email={email} /> : <NoPasswordSection email={email} />}
      <TransferSection />
      <DeleteSection email={email} has_password={me.has_password === true} />
    </>
  );
}

function NotSignedIn() {
  return (
    <PageMessage
      title="You are not signed in"
      detail="An account is seen by its owner alone."
      className="py-24"
    >
      <Button onClick={() => openAuth("login")}>Sign in</Button>
    </PageMessage>
  );
}

function PageSkeleton({ error, retry }: { error: unknown; retry: () => void }) {
  if (error !== null) {
    return (
      <div className="flex flex-col items-center gap-3 py-24 text-center" role="alert">
        <p className="max-w-md text-muted-foreground">{sentence(error)}</p>
        <Button onClick={retry}>Try again</Button>
      </div>
    );
  }
  return (
    <Busy className="space-y-3">
      <Skeleton className="h-8 w-40" />
      <Skeleton className="h-40 rounded-xl" />
      <Skeleton className="h-40 rounded-xl" />
    </Busy>
  );
}
