import { fold, style, terminalWidth } from '../output.ts';
import { formatTook } from '../view/duration.ts';

/** Tells the story: numbered chapters, lines below them, and blocks of output as they are. */
export class Narrator {
  #chapter = 0;
  readonly #startedAt = new Date();
  readonly #speaks: boolean;

  /** One that does not speak is for programs that want the last line only. */
  constructor(speaks: boolean) {
    this.#speaks = speaks;
  }

  chapter(title: string): void {
    this.#chapter += 1;
    const took = formatTook(this.#startedAt.toISOString(), null, new Date());
    this.#write(`\n${style(['bold', 'cyan'], `${this.#chapter}. ${title}`)}  ${style('dim', `+${took}`)}\n`);
  }

  say(text: string): void {
    const width = Math.min(terminalWidth() ?? 110, 110);
    this.#write(
      `${fold(text, width - 3)
        .map((line) => `   ${line}`)
        .join('\n')}\n`,
    );
  }

  /** SQL, tables: every line indented, nothing folded. */
  show(text: string): void {
    this.#write(
      `${text
        .split('\n')
        .map((line) => `   ${line}`.trimEnd())
        .join('\n')}\n`,
    );
  }

  #write(text: string): void {
    if (this.#speaks) process.stdout.write(text);
  }
}
