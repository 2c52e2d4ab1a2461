// `npm run record`: runs the demo on a make-believe terminal and writes what it showed as docs/demo.svg,
// an animation of its own frames.
import { writeFileSync } from 'node:fs';
import { exit, stdout } from 'node:process';

import { run } from '../src/cli/commands/demo.ts';
import { makeStyle, type Terminal } from '../src/cli/terminal.ts';
import { Screen, type ScreenLine } from './terminal-screen.ts';

const columns = 112;
const rows = 30;
const sampleMs = 200;
/** Once the snapshot is over little changes from frame to frame. */
const laterSampleMs = 800;
const busyMs = 4500;
const lineHeight = 18;
const letterWidth = 8.43;
const margin = 18;
const seconds = 12;
/** The last picture stays, so that it can be read. */
const lastFrameMs = 6000;

interface Frame {
  readonly at: number;
  readonly lines: readonly ScreenLine[];
}

const colours: Record<string, string> = {
  red: '#ff7b72',
  green: '#7ee787',
  yellow: '#e3b341',
  cyan: '#79c0ff',
  plain: '#e6edf3',
};

function escapeXml(text: string): string {
  return text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;');
}

function lineSvg(line: ScreenLine, index: number): string {
  let column = 0;
  const spans = line.map(({ text, colour, bold, dim }) => {
    const x = (margin + column * letterWidth).toFixed(1);
    column += Array.from(text).length;
    if (text.trim() === '') return '';
    const weight = bold ? ' font-weight="700"' : '';
    const opacity = dim ? ' opacity="0.6"' : '';
    return `<tspan x="${x}" fill="${colours[colour] ?? ''}"${weight}${opacity}>${escapeXml(text)}</tspan>`;
  });
  const y = margin + 22 + (index + 1) * lineHeight;
  const joined = spans.join('');
  return joined === '' ? '' : `<text y="${y}" xml:space="preserve">${joined}</text>`;
}

function frameSvg(frame: Frame, index: number, frames: readonly Frame[], totalMs: number): string {
  const from = frame.at / totalMs;
  const to = (frames[index + 1]?.at ?? totalMs) / totalMs;
  const percent = (part: number): string => `${(part * 100).toFixed(3)}%`;
  const hidden = index === 0 ? '' : `0%{visibility:hidden}${percent(from)}{visibility:visible}`;
  const end = index === frames.length - 1 ? '' : `${percent(to)}{visibility:hidden}`;
  const start = index === 0 ? '0%{visibility:visible}' : '';
  const last = index === frames.length - 1 ? '100%{visibility:visible}' : '100%{visibility:hidden}';
  const style = `@keyframes f${index}{${start}${hidden}${end}${last}}#f${index}{visibility:hidden;animation:f${index} ${totalMs}ms step-end infinite}`;
  return `<style>${style}</style><g id="f${index}">${frame.lines.map(lineSvg).join('')}</g>`;
}

function toSvg(frames: readonly Frame[]): string {
  const totalMs = (frames.at(-1)?.at ?? 0) + lastFrameMs;
  const width = Math.ceil(columns * letterWidth + 2 * margin);
  const height = rows * lineHeight + 2 * margin + 26;
  const dots = ['#ff5f57', '#febc2e', '#28c840']
    .map((fill, index) => `<circle cx="${margin + 6 + index * 20}" cy="20" r="6" fill="${fill}"/>`)
    .join('');
  const body = frames.map((frame, index) => frameSvg(frame, index, frames, totalMs)).join('\n');
  return (
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${width} ${height}" width="${width}" height="${height}" role="img" aria-label="Recording of forebay demo">\n` +
    `<rect width="100%" height="100%" rx="10" fill="#0d1117"/>${dots}\n` +
    `<g font-family="ui-monospace,SFMono-Regular,Menlo,Consolas,'DejaVu Sans Mono',monospace" font-size="14">\n${body}\n</g>\n</svg>\n`
  );
}

const screen = new Screen(columns, rows);
const frames: Frame[] = [];
const startedAt = performance.now();

function sample(): void {
  const at = Math.round(performance.now() - startedAt);
  const before = frames.at(-1);
  if (before !== undefined && at > busyMs && at - before.at < laterSampleMs) return;
  record(at);
}

function record(at: number): void {
  const lines = screen.lines();
  const text = JSON.stringify(lines);
  const last = frames.at(-1);
  if (last !== undefined && JSON.stringify(last.lines) === text) return;
  frames.push({ at, lines });
}

const write = (text: string): void => screen.write(text);
const style = makeStyle(true);
const terminal: Terminal = {
  out: write,
  err: write,
  live: true,
  canAsk: false,
  size: () => ({ columns, rows }),
  outColumns: columns,
  outStyle: style,
  errStyle: style,
};

write(`${style.dim('$')} npm run demo\n\n`);
sample();
const timer = setInterval(sample, sampleMs);
const code = await run({ args: [], options: { seconds: String(seconds) }, terminal });
clearInterval(timer);
record(Math.round(performance.now() - startedAt));
if (code === 0) {
  const svg = toSvg(frames);
  writeFileSync('docs/demo.svg', svg);
  stdout.write(`docs/demo.svg: ${frames.length} frames, ${svg.length} bytes\n`);
} else {
  stdout.write(`the demo ended with ${code}, nothing was recorded\n`);
}
exit(code);
