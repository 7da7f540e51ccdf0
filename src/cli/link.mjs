// Part of npm's "prepare" step: in a clone `npx thalweg` then runs the bundle at once, where npx would otherwise install the clone anew to find its own command.
import { chmod, mkdir, rm, symlink } from 'node:fs/promises'
import { fileURLToPath } from 'node:url'

const root = new URL('../../', import.meta.url)
const link = fileURLToPath(new URL('node_modules/.bin/thalweg', root))
try {
  await chmod(new URL('dist/bundle/esm/cli/main.js', root), 0o755)
  await mkdir(new URL('node_modules/.bin/', root), { recursive: true })
  await rm(link, { force: true })
  await symlink('../../dist/bundle/esm/cli/main.js', link)
} catch (error) {
  console.warn(`thalweg: npx will not find the command at once (${error.message}); node dist/bundle/esm/cli/main.js is the same.`)
}
