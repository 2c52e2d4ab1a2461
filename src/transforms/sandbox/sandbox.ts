import { randomUUID } from 'node:crypto';
import type {
  QuickJSContext,
  QuickJSHandle,
  QuickJSRuntime,
  QuickJSWASMModule,
} from 'quickjs-emscripten-core';
import type { DocumentTransform, Outcome } from '../document-transform.ts';
import { ModuleFiles, type ModuleSources, reason, unreadable } from './module-files.ts';
import { readNumbers, restoreNumbers } from './numbers.ts';
import { PRELUDE } from './prelude.ts';

export interface SandboxLimits {
  /** For one document, and for loading the module. */
  readonly documentMs: number;
  /** Of everything the engine and the module hold, 16 MiB at least. */
  readonly memoryBytes: number;
}

const STACK_BYTES = 256 * 1024;
const PAGE_BYTES = 65_536;
/** What the engine wants to begin with; a limit below would not let it start. */
const FIRST_PAGES = 256;
const NUMBER = '-?(?:0|[1-9][0-9]*)(?:\\.[0-9]+)?(?:[eE][-+]?[0-9]+)?';
const SLACK_BYTES = 64 * 1024;
/** Between two looks at the clock while promises are carried on. */
const JOBS_AT_ONCE = 100;

/** TypeScript declares it for browsers only. */
declare const WebAssembly: {
  readonly Memory: new (pages: { readonly initial: number; readonly maximum: number }) => object;
};

export interface Sandbox {
  readonly transform: DocumentTransform;
  /** Once set it must not be used again: a module that was cut off may have left anything half done. */
  readonly isSpent: () => boolean;
}

/** Runs a user's module. Throws `transform_specification` if it cannot be loaded. */
export async function openSandbox(
  path: string,
  limits: SandboxLimits,
  sources: ModuleSources = new Map(),
): Promise<Sandbox> {
  const files = new ModuleFiles(path, sources);
  const realm = new Realm(await loadEngine(limits.memoryBytes), files, limits);
  const failure = realm.load();
  if (failure !== null) throw unreadable(path, failure);
  let isSpent = false;
  return {
    isSpent: () => isSpent,
    transform: (json) => {
      try {
        const outcome = realm.transform(json);
        isSpent ||= outcome.kind === 'failed' && outcome.code !== 'transform_module';
        return outcome;
      } catch (error) {
        // The engine itself broke off, by this thread's own stack for example.
        isSpent = true;
        const name = error instanceof Error ? error.name : typeof error;
        const message = `the module broke its engine (${name})`;
        return { kind: 'failed', code: 'transform_module', message };
      }
    },
  };
}

/**
 * QuickJS as WebAssembly: nothing of this process can be reached from in there but by what is passed in. The
 * memory it is given is the limit; the engine's own count of bytes does not work in this build.
 */
async function loadEngine(memoryBytes: number): Promise<QuickJSWASMModule> {
  const [{ newQuickJSWASMModuleFromVariant, newVariant }, { default: loaded }] = await Promise.all([
    import('quickjs-emscripten-core'),
    import('@jitl/quickjs-wasmfile-release-sync'),
  ]);
  const wasmMemory = new WebAssembly.Memory({
    initial: FIRST_PAGES,
    maximum: Math.max(FIRST_PAGES, Math.floor(memoryBytes / PAGE_BYTES)),
  });
  // The types are those of the CommonJS build; Node's import gives the variant itself.
  const variant = 'default' in loaded ? loaded.default : loaded;
  return newQuickJSWASMModuleFromVariant(newVariant(variant, { wasmMemory }));
}

type Answer =
  | { readonly kind: 'answer'; readonly text: string }
  | { readonly kind: 'failed'; readonly code: FailureCode; readonly message: string };
type FailureCode = 'transform_module' | 'transform_timeout' | 'transform_memory';

class Realm {
  readonly #runtime: QuickJSRuntime;
  readonly #context: QuickJSContext;
  readonly #files: ModuleFiles;
  readonly #limits: SandboxLimits;
  readonly #mark = `@${randomUUID()}:`;
  readonly #marked = new RegExp(`"${this.#mark}(${NUMBER})"`, 'g');
  readonly #bridge: QuickJSHandle;
  readonly #run: QuickJSHandle;
  readonly #pending: QuickJSHandle;
  readonly #room: QuickJSHandle;
  #deadline = Number.POSITIVE_INFINITY;
  /** Set when the engine was told to stop; whatever it says afterwards is not the module's answer. */
  #isCutOff = false;

  constructor(engine: QuickJSWASMModule, files: ModuleFiles, limits: SandboxLimits) {
    this.#files = files;
    this.#limits = limits;
    this.#runtime = engine.newRuntime();
    this.#runtime.setMaxStackSize(STACK_BYTES);
    this.#runtime.setInterruptHandler(() => this.#isLate());
    this.#runtime.setModuleLoader(
      (name) => guarded(() => files.read(name)),
      // A refusal travels as a name, which `read` turns into the error that the importing module sees.
      (importer, requested) => files.resolve(importer, requested),
    );
    this.#context = this.#runtime.newContext();
    const prelude = this.#context.unwrapResult(this.#context.evalCode(PRELUDE, '<forebay>'));
    const mark = this.#context.newString(this.#mark);
    this.#bridge = this.#context.unwrapResult(
      this.#context.callFunction(prelude, this.#context.undefined, mark),
    );
    for (const handle of [prelude, mark]) handle.dispose();
    this.#run = this.#context.getProp(this.#bridge, 'run');
    this.#pending = this.#context.getProp(this.#bridge, 'pending');
    this.#room = this.#context.getProp(this.#bridge, 'room');
  }

  /** Why it cannot be loaded; null: it is. */
  load(): string | null {
    const source = guarded(() => this.#files.read(this.#files.entry));
    if (typeof source !== 'string') return reason(source.error);
    this.#begin();
    const evaluated = this.#context.evalCode(source, this.#files.entry, { type: 'module' });
    if (evaluated.error !== undefined) return this.#failureOf(evaluated.error).message;
    const load = this.#context.getProp(this.#bridge, 'load');
    const answer = this.#call(load, [evaluated.value]);
    if (answer.kind === 'failed') return answer.message;
    return answer.text.startsWith('e') ? answer.text.slice(1) : null;
  }

  transform(json: string): Outcome {
    const { exacts, original } = readNumbers(json);
    this.#begin();
    const context = this.#context;
    if (!this.#hasRoom(json.length + (exacts?.length ?? 0))) return this.#outOfMemory();
    const answer = this.#call(this.#run, [
      context.newString(json),
      exacts === null ? context.undefined : context.newString(exacts),
      context.newNumber(Date.now()),
    ]);
    if (answer.kind === 'failed') return answer;
    switch (answer.text.charAt(0)) {
      case 'd': {
        const written = answer.text.slice(1);
        const text = written.includes(this.#mark)
          ? written.replaceAll(this.#marked, '$1')
          : written;
        return {
          kind: 'document',
          json: original === null ? text : restoreNumbers(text, original),
        };
      }
      case 'f':
        return { kind: 'filtered' };
      case 'm':
      // No room even for the answer.
      case '':
        return this.#outOfMemory();
      default:
        return { kind: 'failed', code: 'transform_module', message: answer.text.slice(1) };
    }
  }

  /**
   * Whether texts of so many units can be handed in. The library does not look whether the engine gave it
   * the memory it copies them to.
   */
  #hasRoom(units: number): boolean {
    // At most three bytes of UTF-8 a unit, in the library's copy and in the engine's.
    const bytes = this.#context.newNumber(units * 3 * 2 + SLACK_BYTES);
    const answer = this.#call(this.#room, [bytes]);
    return answer.kind === 'answer' && answer.text === 'd';
  }

  #isLate(): boolean {
    this.#isCutOff ||= performance.now() > this.#deadline;
    return this.#isCutOff;
  }

  #begin(): void {
    this.#deadline = performance.now() + this.#limits.documentMs;
  }

  #call(called: QuickJSHandle, args: readonly QuickJSHandle[]): Answer {
    const result = this.#context.callFunction(called, this.#context.undefined, ...args);
    for (const arg of args) arg.dispose();
    if (result.error !== undefined) return this.#failureOf(result.error);
    const text = this.#textOf(result.value);
    if (this.#isCutOff) return this.#tooLong();
    return text === null ? this.#settle() : { kind: 'answer', text };
  }

  /** Carries promises on until the bridge has an answer. */
  #settle(): Answer {
    for (;;) {
      const jobs = this.#runtime.executePendingJobs(JOBS_AT_ONCE);
      if (jobs.error !== undefined) return this.#failureOf(jobs.error);
      const result = this.#context.callFunction(this.#pending, this.#context.undefined);
      if (result.error !== undefined) return this.#failureOf(result.error);
      const text = this.#textOf(result.value);
      if (this.#isCutOff) return this.#tooLong();
      if (text !== null) return { kind: 'answer', text };
      if (this.#isLate()) return this.#tooLong();
      if (!this.#runtime.hasPendingJob()) {
        return {
          kind: 'failed',
          code: 'transform_module',
          message: 'the promise it returned is never settled',
        };
      }
    }
  }

  /** Null: undefined. */
  #textOf(handle: QuickJSHandle): string | null {
    const text = this.#context.typeof(handle) === 'string' ? this.#context.getString(handle) : null;
    handle.dispose();
    return text;
  }

  /** What the bridge itself could not catch. */
  #failureOf(error: QuickJSHandle): Answer & { readonly kind: 'failed' } {
    if (this.#isCutOff) {
      error.dispose();
      return this.#tooLong();
    }
    const dumped: unknown = this.#context.dump(error);
    error.dispose();
    const { name, message, stack } = errorFields(dumped);
    if (message === 'out of memory' || dumped === null) return this.#outOfMemory();
    const place = /at (?:\S+ \()?\/?([^()\s]+:[0-9]+)/.exec(stack)?.[1];
    return {
      kind: 'failed',
      code: 'transform_module',
      message: `${name}: ${message}${place === undefined ? '' : ` (at ${place})`}`,
    };
  }

  #tooLong(): Answer & { readonly kind: 'failed' } {
    const message = `the module took longer than ${this.#limits.documentMs} ms`;
    return { kind: 'failed', code: 'transform_timeout', message };
  }

  #outOfMemory(): Answer & { readonly kind: 'failed' } {
    const mebibytes = Math.round(this.#limits.memoryBytes / 1024 / 1024);
    const message = `the module took more than ${mebibytes} MiB`;
    return { kind: 'failed', code: 'transform_memory', message };
  }
}

function errorFields(dumped: unknown): { name: string; message: string; stack: string } {
  const fields = { name: 'Error', message: 'unknown', stack: '' };
  if (typeof dumped !== 'object' || dumped === null) return fields;
  for (const field of ['name', 'message', 'stack'] as const) {
    const value: unknown = Reflect.get(dumped, field);
    if (typeof value === 'string') fields[field] = value;
  }
  return fields;
}

function guarded(run: () => string): string | { error: Error } {
  try {
    return run();
  } catch (error) {
    return { error: error instanceof Error ? error : new Error(String(error)) };
  }
}
