import type { Results } from './results.ts'
export async function toPage(results: Results): Promise<string> {
  return JSON.stringify(results)
}
