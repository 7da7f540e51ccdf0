// What the worker threads of trials begin with. Plain JavaScript, because in Node.js 20 neither --import nor the loader of the parent thread
// makes a worker read TypeScript; serve.ts is all there is to it. In the package it is a file beside the bundle, with serve.ts inside.
import { parentPort, workerData } from 'node:worker_threads'

const isTypeScript = /\.[cm]?tsx?$/.test(workerData.module)
// Beside its sources serve.ts has to be read.
if ((isTypeScript || import.meta.url.endsWith('.mjs')) && !process.features.typescript) {
  try {
    const { register } = await import('tsx/esm/api')
    register()
  } catch (error) {
    const advice =
      'Node.js reads TypeScript from 22.18 on; before, install tsx (npm install --save-dev tsx), or give a module in JavaScript'
    parentPort?.postMessage({ kind: 'unusable', error: `it is TypeScript. ${advice}. (${error.message})` })
    process.exit()
  }
}
const { serve } = await import('./serve.ts')
await serve()
