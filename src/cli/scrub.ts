// The greedy middle part ends at the last @ of the word: passwords hold @ and / unescaped more often than not.
/** What help and fixes write where a user would write their own. */
const PLACEHOLDER = /^[a-z]+:\/\/user:password@$/;
const CREDENTIALS = /\b([a-z][a-z0-9+.-]*:\/\/[^\s:/@"']*):[^\s"']*@/gi;
const PASSWORD_PARAMETER = /\b(password|passwd|pwd|sslpassword)=[^\s&"']+/gi;

/** The last defence: takes passwords out of URLs in a text that is about to be shown. */
export function scrubSecrets(text: string): string {
  return text
    .replace(CREDENTIALS, (all: string, before: string) =>
      PLACEHOLDER.test(all) ? all : `${before}:[secret]@`,
    )
    .replace(PASSWORD_PARAMETER, '$1=[secret]');
}
