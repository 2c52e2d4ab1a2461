/** Writes rows so that one that the table refuses does not keep the others out. */
import { ForebayError } from '../../core/errors.ts';
import type { Lane } from './lane.ts';

export const UNIQUE_VIOLATION = '23505';

/** Index entries and rows may be too large for a page: the row's fault, whatever its class says. */
const ROW_LIMIT = '54000';

/** True for failures that a row causes: the server refused a value or a constraint does. */
export function isRowFault(error: unknown): error is ForebayError {
  if (!(error instanceof ForebayError) || error.systemCode === null) return false;
  const state = error.systemCode;
  return state === ROW_LIMIT || (/^(22|23)...$/.test(state) && error.class === 'data');
}

export function isUniqueViolation(error: unknown): boolean {
  return error instanceof ForebayError && error.systemCode === UNIQUE_VIOLATION;
}

/** Runs an act in a savepoint: on failure the transaction is as before and goes on. */
export async function inSavepoint<T>(
  lane: Lane,
  options: { readonly name: string; readonly settings?: string },
  act: () => Promise<T>,
): Promise<T> {
  const settings = options.settings === undefined ? '' : `; ${options.settings}`;
  await lane.connection.execute(`SAVEPOINT ${options.name}${settings}`);
  let result: T;
  try {
    result = await act();
  } catch (error) {
    // A broken connection has no savepoint to go back to; the first failure is the one to tell.
    if (error instanceof ForebayError && error.class !== 'transient') {
      await lane.connection.execute(
        `ROLLBACK TO SAVEPOINT ${options.name}; RELEASE SAVEPOINT ${options.name}`,
      );
      lane.stages.rolledBack();
    }
    throw error;
  }
  await lane.connection.execute(`RELEASE SAVEPOINT ${options.name}`);
  return result;
}

/** Writes rows; what it returns is called when they are there to stay in the transaction. */
export type RowsWriter = (numbers: Int32Array) => Promise<() => void>;

export interface Bisection {
  readonly lane: Lane;
  readonly settings: string;
  readonly write: RowsWriter;
  /** Tried before rows are set apart when unique values stand in each other's way. */
  readonly whenNotUnique: RowsWriter | null;
  readonly reject: (number: number, error: ForebayError) => Promise<void>;
}

async function attempt(
  bisection: Bisection,
  write: RowsWriter,
  numbers: Int32Array,
): Promise<ForebayError | null> {
  const { lane, settings } = bisection;
  try {
    const confirm = await inSavepoint(lane, { name: 'forebay_rows', settings }, () =>
      write(numbers),
    );
    confirm();
    return null;
  } catch (error) {
    if (isRowFault(error)) return error;
    throw error;
  }
}

/** Writes rows; halves them where the server refuses, down to the rows at fault, which are rejected. */
export async function writeOrReject(bisection: Bisection, numbers: Int32Array): Promise<void> {
  if (numbers.length === 0) return;
  let failure = await attempt(bisection, bisection.write, numbers);
  if (failure !== null && isUniqueViolation(failure) && bisection.whenNotUnique !== null) {
    failure = await attempt(bisection, bisection.whenNotUnique, numbers);
  }
  if (failure === null) return;
  const [only] = numbers;
  if (numbers.length === 1 && only !== undefined) {
    await bisection.reject(only, failure);
    return;
  }
  const middle = numbers.length >>> 1;
  await writeOrReject(bisection, numbers.subarray(0, middle));
  await writeOrReject(bisection, numbers.subarray(middle));
}
