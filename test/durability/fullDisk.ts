/**
 * A full disk: `npx tsx test/durability/fullDisk.ts`. Mounts a file system of 512 KiB, fills it while models, checkpoints, logs, journals and reports are written, and
 * checks that each says so and loses nothing. Needs the right to mount; without it, it says so. Exits with 1 if anything was lost.
 */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { diskChecks, SmallDisk } from './diskChecks.ts'

const folder = mkdtempSync(join(tmpdir(), 'thalweg-disk-'))
const disk = new SmallDisk(join(folder, 'small'))
if (disk.reason !== null) console.log(`skipped: ${disk.reason}`)
else
  for (const [name, run] of Object.entries(diskChecks)) {
    try {
      await run(disk, folder)
      console.log(`${name}: refused with a clear error, nothing lost`)
    } catch (error) {
      console.log(`${name}: FAILED, ${(error as Error).message}`)
      process.exitCode = 1
    } finally {
      disk.makeRoom()
    }
  }
disk.unmount()
rmSync(folder, { recursive: true })
