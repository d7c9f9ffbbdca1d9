/** Makes an executable of a few hundred bytes for Linux on x86-64 that prints a text: one with one argument, else another. */

const BASE = 0x400000n;
const HEADER_BYTES = 64 + 56;

/** Write it with mode 0755. */
export function tinyProgram(withOneArgument: string, otherwise: string): Uint8Array {
  const [first, second] = [withOneArgument, otherwise].map((text) => new TextEncoder().encode(text)) as [
    Uint8Array,
    Uint8Array,
  ];
  const int = (value: number) => [...new Uint8Array(new Uint32Array([value]).buffer)];
  // lea rsi, [rip + distance]; mov edx, length
  const load = (
    distance: number,
    length: number,
  ) => [0x48, 0x8d, 0x35, ...int(distance), 0xba, ...int(length)];
  // mov rax, [rsp]; cmp rax, 2; jne +14
  const branch = [0x48, 0x8b, 0x04, 0x24, 0x48, 0x83, 0xf8, 2, 0x75, 14];
  const jump = [0xeb, 12];
  // write(1, rsi, edx); exit(0)
  const finish = [
    ...[0xb8, 1, 0, 0, 0, 0xbf, 1, 0, 0, 0, 0x0f, 0x05],
    ...[0xb8, 0x3c, 0, 0, 0, 0x31, 0xff, 0x0f, 0x05],
  ];
  const code = [
    ...branch,
    ...load(5 + jump.length + 12 + finish.length, first.length),
    ...jump,
    ...load(5 + finish.length + first.length, second.length),
    ...finish,
  ];
  const bytes = new Uint8Array(HEADER_BYTES + code.length + first.length + second.length);
  const view = new DataView(bytes.buffer);
  const long = (at: number, value: bigint) => view.setBigUint64(at, value, true);
  bytes.set([0x7f, 0x45, 0x4c, 0x46, 2, 1, 1]);
  view.setUint16(16, 2, true);
  view.setUint16(18, 62, true);
  view.setUint32(20, 1, true);
  long(24, BASE + BigInt(HEADER_BYTES));
  long(32, 64n);
  view.setUint16(52, 64, true);
  view.setUint16(54, 56, true);
  view.setUint16(56, 1, true);
  view.setUint16(58, 64, true);
  // One segment: all of the file, to be read and executed.
  view.setUint32(64, 1, true);
  view.setUint32(68, 5, true);
  long(80, BASE);
  long(88, BASE);
  long(96, BigInt(bytes.length));
  long(104, BigInt(bytes.length));
  long(112, 0x1000n);
  bytes.set(code, HEADER_BYTES);
  bytes.set(first, HEADER_BYTES + code.length);
  bytes.set(second, HEADER_BYTES + code.length + first.length);
  return bytes;
}
