// What worker threads of the tests start with. Plain JavaScript, because in Node.js 20 neither --import nor the loader of the parent
// thread makes a worker read TypeScript; jobs.ts is all there is to it.
import { register } from 'tsx/esm/api'

register()
const { work } = await import('./jobs.ts')
await work()
