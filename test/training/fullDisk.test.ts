/** A disk that is full loses nothing: the checks that `test/durability/fullDisk.ts` prints. */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, afterEach, describe, it } from 'vitest'
import { diskChecks, SmallDisk } from '../durability/diskChecks.ts'

const folder = mkdtempSync(join(tmpdir(), 'thalweg-disk-'))
const disk = new SmallDisk(join(folder, 'small'))
afterEach(() => disk.makeRoom())
afterAll(() => {
  disk.unmount()
  rmSync(folder, { recursive: true })
})

describe.skipIf(disk.reason !== null)(`a full disk${disk.reason === null ? '' : ` (${disk.reason})`}`, () => {
  it.each(Object.entries(diskChecks))('loses nothing: %s', (_, run) => run(disk, folder))
})
