/** Plain data as YAML 1.2: block style, strings quoted as in JSON unless they are plainly words. */

const PLAIN = /^[A-Za-z_/][A-Za-z0-9_./ ()-]*$/;
const MEANS_SOMETHING = /^(?:null|true|false|yes|no|on|off|y|n|\.inf|\.nan)$/i;

function scalar(value: unknown): string {
  if (typeof value !== 'string') return JSON.stringify(value) ?? 'null';
  const isPlain = PLAIN.test(value) && !MEANS_SOMETHING.test(value) && !value.endsWith(' ');
  return isPlain ? value : JSON.stringify(value);
}

function isEmpty(value: object): boolean {
  return Object.keys(value).length === 0;
}

function lines(value: unknown): string[] {
  if (typeof value !== 'object' || value === null) return [scalar(value)];
  if (isEmpty(value)) return [Array.isArray(value) ? '[]' : '{}'];
  if (Array.isArray(value)) {
    return value.flatMap((item) =>
      lines(item).map((line, index) => (index === 0 ? `- ${line}` : `  ${line}`)),
    );
  }
  return Object.entries(value)
    .filter(([, member]) => member !== undefined)
    .flatMap(([key, member]) => {
      const inner = lines(member);
      const isBlock = typeof member === 'object' && member !== null && !isEmpty(member);
      if (!isBlock) return [`${scalar(key)}: ${inner[0] ?? ''}`];
      return [`${scalar(key)}:`, ...inner.map((line) => `  ${line}`)];
    });
}

export function toYaml(value: unknown): string {
  return `${lines(value).join('\n')}\n`;
}
