// A fresh network namespace has its loopback device down; servers of tests need it.
import { execFileSync } from 'node:child_process'
import { requireSandbox } from './sandbox.ts'

/** Equivalent to: `ip link set lo up`, in the namespace the runner made. */
export function bringUpLoopback(): void {
  requireSandbox()
  execFileSync('ip', ['link', 'set', 'lo', 'up'])
}
