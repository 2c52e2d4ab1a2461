/**
 * The shortest digits that only one float reads as, as PostgreSQL prints them (Ryu, src/common/d2s.c): unlike
 * JavaScript's, they lie strictly inside the float's interval, and halves go to the even digit.
 */

const LARGEST_DIGITS = { 32: 9, 64: 17 } as const;
/** Below this no decimal of 17 digits lies halfway between two doubles, so JavaScript's digits are these. */
const HALVES_FROM = 2 ** 52;

interface Interval {
  /** In steps of 2 to the power of `exponent`; bounds are outside. */
  readonly low: bigint;
  readonly value: bigint;
  readonly high: bigint;
  readonly exponent: number;
}

function intervalOf(value: number, bits: 32 | 64): Interval {
  const view = new DataView(new ArrayBuffer(8));
  if (bits === 32) view.setFloat32(0, value);
  else view.setFloat64(0, value);
  const [word, fraction, bias] =
    bits === 32 ? [BigInt(view.getUint32(0)), 23n, 127] : [view.getBigUint64(0), 52n, 1023];
  const stored = Number(word >> fraction);
  const rest = word & ((1n << fraction) - 1n);
  const mantissa = stored === 0 ? rest : rest | (1n << fraction);
  const exponent = Math.max(stored, 1) - bias - Number(fraction);
  // Floats lie half as far apart below a power of two.
  const below = rest === 0n && stored > 1 ? 1n : 2n;
  const four = mantissa * 4n;
  return { low: four - below, value: four, high: four + 2n, exponent: exponent - 2 };
}

const power = (base: bigint, exponent: number): bigint => base ** BigInt(Math.max(exponent, 0));

/** The best whole number of 10 to the power of `scale` inside the interval; null if there is none. */
function within(interval: Interval, scale: number): bigint | null {
  const times = power(2n, interval.exponent) * power(10n, -scale);
  const unit = power(2n, -interval.exponent) * power(10n, scale);
  const exact = interval.value * times;
  const down = exact / unit;
  const isInside = (whole: bigint): boolean =>
    whole * unit > interval.low * times && whole * unit < interval.high * times;
  const candidates = [down, down + 1n].filter(isInside);
  if (candidates.length < 2) return candidates[0] ?? null;
  const half = 2n * (exact - down * unit) - unit;
  if (half === 0n) return down % 2n === 0n ? down : down + 1n;
  return half < 0n ? down : down + 1n;
}

/** A positive float as `d.ddde±x`. */
export function shortestFloat(value: number, bits: 32 | 64): string {
  if (bits === 64 && value < HALVES_FROM) return value.toExponential();
  const exponent = Number(value.toExponential(20).split('e')[1]);
  const interval = intervalOf(value, bits);
  for (let digits = 1; digits < LARGEST_DIGITS[bits]; digits += 1) {
    const whole = within(interval, exponent - digits + 1);
    if (whole === null) continue;
    const text = String(whole);
    const shown = text.replace(/0+$/, '');
    const point = shown.length > 1 ? `${shown[0]}.${shown.slice(1)}` : shown;
    return `${point}e${exponent + text.length - digits}`;
  }
  return value.toExponential(LARGEST_DIGITS[bits] - 1);
}
