/** A buffer that grows; what is written stays until `clear`. */
export class ByteSink {
  buffer: Buffer<ArrayBuffer>;
  length = 0;

  constructor(bytes: number) {
    this.buffer = Buffer.from(new ArrayBuffer(bytes));
  }

  clear(): void {
    this.length = 0;
  }

  /** Makes room for so many bytes and returns where they go; the caller then fills all of them. */
  take(bytes: number): number {
    const at = this.length;
    this.length = at + bytes;
    if (this.length > this.buffer.length) this.#grow();
    return at;
  }

  #grow(): void {
    const grown = Buffer.from(new ArrayBuffer(Math.max(this.length, this.buffer.length * 2)));
    grown.set(this.buffer);
    this.buffer = grown;
  }

  text(value: string): void {
    // Three bytes for a UTF-16 unit is the most that UTF-8 needs.
    const start = this.take(value.length * 3);
    this.length = start + this.buffer.write(value, start, 'utf8');
  }

  bytes(source: Uint8Array, offset: number, length: number): void {
    const at = this.take(length);
    this.buffer.set(source.subarray(offset, offset + length), at);
  }

  int16(value: number): void {
    const at = this.take(2);
    this.buffer.writeInt16BE(value, at);
  }

  uint16(value: number): void {
    const at = this.take(2);
    this.buffer.writeUInt16BE(value, at);
  }

  int32(value: number): void {
    const at = this.take(4);
    this.buffer.writeInt32BE(value, at);
  }

  int64(value: bigint): void {
    const at = this.take(8);
    this.buffer.writeBigInt64BE(value, at);
  }
}
