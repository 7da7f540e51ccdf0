/** When a batch leaves. */
export interface Departure {
  /** Items of a full batch, which leaves at once. */
  readonly size: number
  /** Milliseconds after which one that is not full leaves, counted from its first item; 0: when the event loop has turned. */
  readonly latency: number
}

/** Joins what comes one by one to batches, which run one at a time; the next one fills meanwhile. */
export class Batcher<Item> {
  private waiting: Item[] = []
  /** Whether what waits leaves although it fills no batch. */
  private due = false
  private running: Promise<void> | null = null
  private stopTimer: (() => void) | null = null
  private whenTaken: (() => void)[] = []
  private readonly departure: Departure
  private readonly run: (items: readonly Item[]) => Promise<void>

  /** @param run Must not reject: an error belongs to the items. */
  constructor(departure: Departure, run: (items: readonly Item[]) => Promise<void>) {
    this.departure = departure
    this.run = run
  }

  /** How many wait. */
  get length(): number {
    return this.waiting.length
  }

  add(item: Item): void {
    this.waiting.push(item)
    this.start()
    if (this.waiting.length > 0 && !this.due) this.startTimer()
  }

  /** Resolves when fewer than a full batch wait; null if they already do. */
  room(): Promise<void> | null {
    if (this.waiting.length < this.departure.size) return null
    return new Promise((resolve) => this.whenTaken.push(resolve))
  }

  /** Sends what waits on its way, and resolves when nothing is under way. */
  async flush(): Promise<void> {
    this.leave()
    while (this.running !== null) await this.running
  }

  /** Takes back those that wait and are chosen; default all. */
  remove(chooses: (item: Item) => boolean = () => true): readonly Item[] {
    const removed = this.waiting.filter(chooses)
    this.waiting = this.waiting.filter((item) => !removed.includes(item))
    if (this.waiting.length === 0) this.settle()
    return removed
  }

  private leave(): void {
    this.due = this.waiting.length > 0
    this.start()
  }

  private start(): void {
    if (this.running === null && this.leaves()) this.running = this.runAll()
  }

  private leaves(): boolean {
    return this.due || this.waiting.length >= this.departure.size
  }

  private async runAll(): Promise<void> {
    while (this.leaves()) {
      const items = this.waiting.splice(0, this.departure.size)
      this.settle()
      await this.run(items)
    }
    this.running = null
  }

  /** After items were taken. Those that are left have waited for as long as a batch took: they leave with the next one. */
  private settle(): void {
    this.due = this.waiting.length > 0
    this.stopTimer?.()
    this.stopTimer = null
    for (const proceed of this.whenTaken.splice(0)) proceed()
  }

  private startTimer(): void {
    if (this.stopTimer !== null) return
    const leave = () => {
      this.stopTimer = null
      this.leave()
    }
    const { latency } = this.departure
    if (latency === 0) {
      const timer = setImmediate(leave)
      this.stopTimer = () => clearImmediate(timer)
    } else {
      const timer = setTimeout(leave, latency)
      this.stopTimer = () => clearTimeout(timer)
    }
  }
}
