// Builds the addon in a clone of the repository (npm's "prepare" step). Without a compiler the install still succeeds: the
// package then works on its reference executor. In CI (CI=true) a failed build is an error.
import { spawnSync } from 'node:child_process'
import { createRequire } from 'node:module'

const nodeGyp = createRequire(import.meta.url).resolve('node-gyp/bin/node-gyp.js')
const { status, error } = spawnSync(process.execPath, [nodeGyp, 'configure', 'build', '-j', 'max'], { stdio: 'inherit' })

if (status !== 0) {
  const cause = error?.message ?? 'see the output of node-gyp above'
  console.warn(`thalweg: the native addon could not be built (${cause}).`)
  console.warn(
    'thalweg: it will run on the reference executor, many times slower. To build it: install a C++17 compiler, make and python3, then npm run build:native.',
  )
  if (process.env.CI === 'true') process.exit(1)
}
