import { ForebayError } from '../../core/errors.ts';

/** Packages that only some publishers need are no part of the installation. */
export async function loadPackage<T>(load: () => Promise<T>, install: string): Promise<T> {
  try {
    return await load();
  } catch (error) {
    const code = error instanceof Error && 'code' in error ? error.code : null;
    if (code !== 'ERR_MODULE_NOT_FOUND') throw error;
    throw new ForebayError('capability_missing', {
      message: `events need a package that is not installed: ${install}`,
      fix: `npm install ${install}, where forebay is installed.`,
      cause: error,
    });
  }
}
