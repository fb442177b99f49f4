/** What the audit's page needs beyond the report's look: room beside the calendar, and the days. */
export const AUDIT_STYLE = `
body { max-width: 88rem; }
h1.good, h1.bad { font-weight: 700; }
.database { display: grid; grid-template-columns: minmax(0, 3fr) minmax(0, 2fr); gap: 0 2.5rem; align-items: start; }
.database h2 { grid-column: 1 / -1; }
.year { display: grid; grid-template-columns: repeat(auto-fill, minmax(9.5rem, 1fr)); gap: 1rem 1.25rem; }
.year svg { width: 100%; height: auto; display: block; }
svg text { font: 9px system-ui, "DejaVu Sans", sans-serif; text-anchor: middle; pointer-events: none; fill: #24492f; }
svg text.month { font-size: 12px; font-weight: 600; text-anchor: start; fill: var(--ink); }
svg text.week { font-size: 8px; fill: var(--soft); }
rect.today { fill: none; stroke: var(--ink); stroke-width: 2; }
g.kept path, rect.kept { fill: #cfe8d6; }
g.archived path, rect.archived { fill: #d5e3f7; }
g.archived path.mark, rect.archived { fill: #1f5fb4; }
g.archived text { fill: #123a70; }
g.broken path, rect.broken { fill: #8f0018; }
g.broken text { fill: #fff; font-weight: 700; }
g:hover path { stroke: var(--ink); stroke-width: 1.5; }
ul.legend { list-style: none; padding: 0; margin: 0.75rem 0; display: flex; flex-wrap: wrap; gap: 0.35rem 1.5rem; font-size: 0.9rem; }
ul.legend svg { vertical-align: -0.25em; margin-right: 0.3em; }
svg.strip { width: 100%; min-width: 12rem; height: 1.1rem; display: block; }
ul.findings li.info { border-color: #57606a; }
ul.findings .when { font-weight: 600; }
ul.plain { margin: 0.4rem 0; padding-left: 1.2rem; }
td.number, th.number { text-align: right; }
@media (max-width: 60rem) { .database { grid-template-columns: minmax(0, 1fr); } }
@media print {
  .database { display: block; break-before: page; }
  .database:only-of-type { break-before: auto; }
  .year { grid-template-columns: repeat(5, 1fr); break-inside: avoid; }
}
`;
