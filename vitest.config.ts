import { defineConfig } from 'vitest/config'

export default defineConfig({
  test: {
    include: ['test/**/*.test.ts'],
    testTimeout: 120_000,
    hookTimeout: 120_000,
    // Training threads and test workers share the same cores.
    pool: 'forks',
    maxWorkers: 2,
  },
})
