import { OptionError } from '../../errors.ts'

/**
 * An optional peer dependency: `await optionalPeer('parquet', 'hyparquet', () => import('hyparquet'))`.
 *
 * @throws OptionError if it is not installed, with the command that installs it, or if it cannot be loaded.
 */
export async function optionalPeer<T>(where: string, name: string, load: () => Promise<T>): Promise<T> {
  try {
    return await load()
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException
    const missing = code === 'ERR_MODULE_NOT_FOUND' && message.includes(name)
    throw new OptionError(
      missing
        ? `${where}: needs the package ${name}, which is not installed; try "npm install ${name}".`
        : `${where}: the package ${name} is installed, but cannot be loaded (${message}); try "npm install ${name}" again on this machine.`,
      { cause: error },
    )
  }
}
