/** Runs before each file of unit tests: a clean page, as a first visit finds it. */
import { cleanup, configure } from "@testing-library/react";
import { afterEach, beforeEach } from "vitest";

// What is waited for comes at once; how long a busy machine takes over it is no matter of a test's.
configure({ asyncUtilTimeout: 20_000 });

beforeEach(() => localStorage.clear());
afterEach(cleanup);
