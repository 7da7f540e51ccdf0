// What the worker threads of trials begin with. Plain JavaScript, because in Node.js 20 neither --import nor the loader of the parent thread
// makes a worker read TypeScript; serve.ts is all there is to it. In the package it is a file beside the bundle, with serve.ts inside.
import { createRequire } from 'node:module'
import { dirname } from 'node:path'
import { fileURLToPath, pathToFileURL } from 'node:url'
import { parentPort, workerData } from 'node:worker_threads'

const here = import.meta.url
const readsTypeScript = Boolean(process.features.typescript)
const isTypeScript = (url) => /\.[cm]?tsx?$/.test(url)
// Beside its sources serve.ts has to be read.
if ((isTypeScript(workerData.module) || here.endsWith('.mjs')) && !readsTypeScript) {
  const paths = [workerData.module, here].map((url) => dirname(fileURLToPath(url)))
  try {
    const { register } = await import(pathToFileURL(createRequire(here).resolve('tsx/esm/api', { paths })).href)
    register()
  } catch (error) {
    const advice =
      'Node.js 22.18 reads TypeScript by itself; before, install tsx (npm install --save-dev tsx), or give a module in JavaScript'
    parentPort?.postMessage({ kind: 'unusable', error: `it is TypeScript. ${advice}. (${error.message})` })
    process.exit()
  }
}
const { serve } = await import('./serve.ts')
await serve()
