/** Text that is HTML already. Only `html` makes it. */
export class Html {
  readonly text: string;

  constructor(text: string) {
    this.text = text;
  }
}

type Value = Html | string | number | null | readonly (Html | string)[];

/** A piece of a page: whatever is put into it that is not HTML already is escaped. */
export function html(parts: TemplateStringsArray, ...values: readonly Value[]): Html {
  return new Html(String.raw({ raw: parts }, ...values.map(textOf)));
}

function textOf(value: Value): string {
  if (value === null) return '';
  if (value instanceof Html) return value.text;
  if (typeof value === 'object') return value.map(textOf).join('');
  return escapeHtml(String(value));
}

const ENTITIES: Record<string, string> = {
  ...{ '&': '&amp;', '<': '&lt;', '>': '&gt;', '"': '&quot;', "'": '&#39;' },
};

/** Safe as text and within a quoted attribute. Control characters, which HTML forbids, become visible. */
export function escapeHtml(text: string): string {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: it looks for them
  const visible = text.replaceAll(/[\u0000-\u0008\u000b\u000c\u000e-\u001f\u007f]/g, '\ufffd');
  return visible.replaceAll(/[&<>"']/g, (character) => ENTITIES[character] as string);
}

/** A table that becomes a list of cards on a phone: each cell has the name of its column. */
export function table(caption: string, heads: readonly string[], rows: readonly (readonly Value[])[]): Html {
  const cells = (row: readonly Value[]) =>
    row.map((value, at) =>
      at === 0
        ? html`<th scope="row" role="rowheader" data-head="${heads[at] ?? ''}"><div>${value}</div></th>`
        : html`<td role="cell" data-head="${heads[at] ?? ''}"><div>${value}</div></td>`,
    );
  return html`<table role="table"><caption>${caption}</caption>
<thead role="rowgroup"><tr role="row">${heads.map((head) => html`<th scope="col" role="columnheader">${head}</th>`)}</tr></thead>
<tbody role="rowgroup">${rows.map((row) => html`<tr role="row">${cells(row)}</tr>\n`)}</tbody></table>
`;
}

/** A time in UTC as people read it, to the minute. */
export function moment(time: string): Html {
  return html`<time datetime="${time}">${time.slice(0, 16).replace('T', ' ')}</time>`;
}

/** A word that is not broken in two. */
export const one = (text: string): Html => html`<span class="one">${text}</span>`;
