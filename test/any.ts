/** Values of any type where the compiler expects others: what a caller without types can do. */
// biome-ignore lint/suspicious/noExplicitAny: the point of the tests that refuse them.
export const any = (value: unknown): any => value
