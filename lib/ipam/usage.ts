// Exact counts to the int32 numbers of a status: saturated, never negative, never wrapped (manager.md D55).
import type { Usage } from './types.ts'

export const INT32_MAX = 2147483647

export function saturate(count: bigint | number): number {
  if (count <= 0) return 0
  return count >= INT32_MAX ? INT32_MAX : Number(count)
}

export function usageOf(total: bigint, used: number): Usage {
  return { total: saturate(total), used: saturate(used), available: saturate(total - BigInt(used)) }
}
