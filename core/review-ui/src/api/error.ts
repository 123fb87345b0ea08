/** Errors of the server, as the page throws them. */
import type { Stale } from "./types";

/** Say why the server refused. `status` 0 means that it could not be reached; `stale` comes with a 409 of a decision. */
export class ApiError extends Error {
  constructor(
    readonly status: number,
    readonly code: string,
    message: string,
    readonly hint = "",
    readonly stale?: Stale,
  ) {
    super(message);
    this.name = "ApiError";
  }

  /** The same request may succeed later, unchanged. */
  get passing(): boolean {
    return this.status === 0 || this.status === 429 || (this.status >= 502 && this.status <= 504);
  }
}
