/** The look of the report: one column, large enough on a phone, black on white on paper. All contrasts are above 4.5. */
export const STYLE = `
:root { color-scheme: light; --ink: #1b1f24; --soft: #57606a; --line: #d0d7de; --good: #0b6b2e; --bad: #b00020; --warn: #7a4b00; --back: #f6f8fa; }
* { box-sizing: border-box; }
body { margin: 0 auto; max-width: 60rem; padding: 1rem; font: 16px/1.5 system-ui, -apple-system, "Segoe UI", Roboto, "DejaVu Sans", sans-serif; color: var(--ink); background: #fff; overflow-wrap: anywhere; }
h1 { font-size: 1.6rem; line-height: 1.2; margin: 0.5rem 0; }
h2 { font-size: 1.35rem; line-height: 1.25; margin: 2.5rem 0 0.5rem; padding-top: 1rem; border-top: 3px solid var(--ink); }
h3 { font-size: 1.05rem; margin: 1.75rem 0 0.5rem; }
p { margin: 0.4rem 0; }
a { color: #0550ae; }
.soft { color: var(--soft); }
.good, .bad, .warn { font-weight: 600; }
td .good, td .bad, td .warn, time, .one { white-space: nowrap; }
.good { color: var(--good); }
.bad { color: var(--bad); }
.warn { color: var(--warn); }
code { font: 0.9em ui-monospace, "DejaVu Sans Mono", Menlo, Consolas, monospace; background: var(--back); padding: 0.1em 0.3em; border-radius: 3px; }
ul.findings { list-style: none; padding: 0; margin: 0.5rem 0; }
ul.findings li { border-left: 5px solid var(--warn); background: var(--back); padding: 0.5rem 0.75rem; margin: 0.5rem 0; }
ul.findings li.critical { border-color: var(--bad); }
table { border-collapse: collapse; width: 100%; margin: 0.5rem 0; font-size: 0.94rem; }
caption { text-align: left; color: var(--soft); padding-bottom: 0.25rem; }
th, td { text-align: left; vertical-align: top; padding: 0.4rem 0.75rem 0.4rem 0; border-bottom: 1px solid var(--line); font-weight: inherit; }
thead th, tbody th { overflow-wrap: normal; }
thead th { color: var(--soft); border-bottom: 2px solid var(--line); }
td, tbody th { font-variant-numeric: tabular-nums; }
figure { margin: 0.75rem 0; }
figure svg { display: block; width: 100%; }
svg.window { height: 7rem; }
svg.drills { max-width: 34rem; height: auto; }
figcaption { color: var(--soft); font-size: 0.9rem; }
.ends { display: flex; justify-content: space-between; gap: 1rem; font-size: 0.85rem; color: var(--soft); }
.ends span:last-child { text-align: right; }
footer { margin-top: 3rem; border-top: 1px solid var(--line); padding-top: 0.5rem; color: var(--soft); font-size: 0.9rem; }
@media (max-width: 40rem) {
  table, tbody, caption { display: block; }
  thead { position: absolute; width: 1px; height: 1px; overflow: hidden; clip-path: inset(50%); }
  tbody tr { display: block; border: 1px solid var(--line); border-radius: 6px; padding: 0.4rem 0.75rem; margin: 0.6rem 0; }
  tbody th, tbody td { display: grid; grid-template-columns: 7.5rem 1fr; gap: 0.5rem; border: 0; padding: 0.2rem 0; }
  tbody th { font-weight: 600; }
  tbody th::before, tbody td::before { content: attr(data-head); color: var(--soft); font-weight: 400; }
}
@media print {
  body { max-width: none; padding: 0; font-size: 10.5pt; }
  h2 { break-before: page; }
  h2:first-of-type { break-before: auto; }
  h2, h3, caption { break-after: avoid; }
  figure, tr, li { break-inside: avoid; }
  a { color: inherit; text-decoration: none; }
}
@page { margin: 18mm 15mm; }
`;
