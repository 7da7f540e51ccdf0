import { checkPath } from '../checks.ts'
import { writeAtomically } from '../interchange/atomicFile.ts'
import { checkWholeReport, renderReport } from './html.ts'
import type { ReportData } from './reportData.ts'

/**
 * Writes a report: one HTML page with everything in it, which loads nothing from anywhere. All of it is on the disk, or what was there before.
 *
 * @param path The file; folders above it are made.
 * @param data What it says; only `title` is needed.
 * @throws OptionError for what is no report; DataError for what is not plain JSON; FileError when the disk refuses.
 * @example await writeReport('build/report.html', { title: 'House prices', results: reportResults({ task: 'regression', predicted: [1, 2], actual: [1, 3] }) })
 */
export async function writeReport(path: string, data: ReportData): Promise<void> {
  checkPath('writeReport', 'file', path)
  checkWholeReport('writeReport', data)
  await writeAtomically('writeReport', path, [await renderReport('writeReport', data)])
}
