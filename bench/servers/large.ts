/** The answer of those whose work is a large answer. */
export const large = new Uint8Array(8 << 20).fill(120);
