/** The response of servers whose work is a large response. */
export const large = new Uint8Array(8 << 20).fill(120);
