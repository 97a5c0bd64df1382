/**
 * A refused system call. Returned as a value where the caller decides what it means, thrown where nothing can go on.
 * The text says what, on which thing, why, and what the operator can do.
 */
export class KernelError extends Error {
  override readonly name = 'KernelError';
  constructor(
    /** The option or request, such as 'MRT_INIT'. */
    readonly op: string,
    /** What it was done to: 'the IPv4 multicast routing socket', 'vif 3 (eth1)'. */
    readonly target: string,
    /** As the kernel numbers it, positive. */
    readonly errno: number,
    /** 'EADDRINUSE'; callers branch on this, never on the text. */
    readonly code: string,
    readonly advice: string,
  ) {
    super(`${op} on ${target} failed: ${code} (${errno}). ${advice}`);
  }
}
