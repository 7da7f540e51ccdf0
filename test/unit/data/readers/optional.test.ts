import { expect, it } from 'vitest'
import { optionalPeer } from '../../../../src/data/readers/optional.ts'

it('says what to install', async () => {
  const name = '@thalweg/not-installed'
  await expect(optionalPeer('parquet', name, () => import(name))).rejects.toMatchObject({
    code: 'ERR_OPTION',
    message: `parquet: needs the package ${name}, which is not installed; try "npm install ${name}".`,
    cause: { code: 'ERR_MODULE_NOT_FOUND' },
  })
})

it('says so when what is installed cannot be loaded', async () => {
  const broken = () => Promise.reject(new Error('sharp.node: invalid ELF header'))
  await expect(optionalPeer('decodeImage', 'sharp', broken)).rejects.toMatchObject({
    code: 'ERR_OPTION',
    message: expect.stringContaining('sharp is installed, but cannot be loaded (sharp.node: invalid ELF header)'),
  })
})
