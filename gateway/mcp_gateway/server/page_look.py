"""How the status page looks and stays live: its style sheet and its script.

Both are inlined with a nonce, so the page works without any other request and its policy can
forbid everything else.
"""

from __future__ import annotations

STYLE = """
:root {
  color-scheme: light dark;
  --ground: #f6f7f9; --card: #ffffff; --ink: #16191f; --soft: #5d6675; --line: #e1e5eb;
  --good: #117a4d; --good-ground: #e2f4ea; --warn: #8a5a00; --warn-ground: #fdf1d8;
  --bad: #b3261e; --bad-ground: #fce8e6; --bar: #3563e9; --bar-ground: #e6eaf2;
}
@media (prefers-color-scheme: dark) {
  :root {
    --ground: #0f1217; --card: #181c23; --ink: #e8ebf0; --soft: #98a2b3; --line: #2a303a;
    --good: #63d29f; --good-ground: #12301f; --warn: #f2c260; --warn-ground: #352a10;
    --bad: #ff8f87; --bad-ground: #3b1917; --bar: #7c9bff; --bar-ground: #262d3a;
  }
}
* { box-sizing: border-box; }
body {
  margin: 0; background: var(--ground); color: var(--ink);
  font: 15px/1.5 system-ui, -apple-system, "Segoe UI", Roboto, sans-serif;
  font-variant-numeric: tabular-nums;
}
main { max-width: 72rem; margin: 0 auto; padding: 1.5rem 1.25rem 4rem; }
header { display: flex; flex-wrap: wrap; align-items: baseline; gap: .35rem .9rem; }
h1 { font-size: 1.5rem; margin: 0; letter-spacing: -.01em; }
h2 { font-size: .8rem; margin: 2.25rem 0 .75rem; color: var(--soft); font-weight: 600;
     text-transform: uppercase; letter-spacing: .06em; }
h3 { font-size: 1.05rem; margin: 0; }
p { margin: .25rem 0; }
.soft { color: var(--soft); }
.end { margin-left: auto; }
.badge { display: inline-block; padding: .05rem .6rem; border-radius: 99px; font-size: .8rem;
         font-weight: 600; background: var(--bar-ground); color: var(--soft); white-space: nowrap; }
.badge.good { background: var(--good-ground); color: var(--good); }
.badge.warn { background: var(--warn-ground); color: var(--warn); }
.badge.bad { background: var(--bad-ground); color: var(--bad); }
.notice { background: var(--warn-ground); color: var(--warn); border-radius: .5rem;
          padding: .5rem .8rem; margin: .75rem 0 0; }
.error { background: var(--bad-ground); color: var(--bad); border-radius: .5rem;
         padding: .4rem .7rem; margin: .75rem 0 0; overflow-wrap: anywhere; font-size: .88rem; }
.grid { display: grid; gap: 1rem; grid-template-columns: repeat(auto-fill, minmax(20rem, 1fr)); }
.card { background: var(--card); border: 1px solid var(--line); border-radius: .75rem;
        padding: 1rem 1.1rem; min-width: 0; }
.card > header { margin-bottom: .6rem; }
.bar { display: block; width: 100%; height: .5rem; border-radius: 99px; margin: .3rem 0;
       background: var(--bar-ground); overflow: hidden; }
.bar rect { fill: var(--bar); }
.bar.full rect { fill: var(--warn); }
.row { display: flex; justify-content: space-between; gap: 1rem; }
.row.top { margin-top: .7rem; }
.standing { margin: 0 0 .5rem; font-size: .88rem; }
.reasons { list-style: none; margin: .25rem 0 0; padding: 0; font-size: .84rem; }
.reasons li { display: flex; gap: .7rem; padding: .12rem 0; }
.reasons li + li { color: var(--soft); }
.reasons time { color: var(--soft); white-space: nowrap; }
.reasons span { min-width: 0; overflow-wrap: anywhere; }
dl { display: grid; grid-template-columns: 1fr auto; gap: .1rem 1rem; margin: .6rem 0 0;
     font-size: .92rem; }
dt { color: var(--soft); } dd { margin: 0; text-align: right; }
.facts { display: grid; gap: .75rem 1.5rem; margin: 0;
         grid-template-columns: repeat(auto-fill, minmax(9rem, 1fr)); }
.facts div { min-width: 0; } .facts dt { font-size: .82rem; }
.facts dd { text-align: left; font-size: 1.2rem; font-weight: 600; overflow-wrap: anywhere; }
.wide { overflow-x: auto; padding: .25rem 0; }
.next { margin-top: 1rem; }
table { border-collapse: collapse; width: 100%; font-size: .92rem; }
th { text-align: left; color: var(--soft); font-weight: 500; }
th, td { padding: .4rem 1.1rem; border-top: 1px solid var(--line); vertical-align: top; }
tr:first-child > th { border-top: 0; }
td.number, th.number { text-align: right; }
code { font: .88em ui-monospace, SFMono-Regular, Menlo, Consolas, monospace;
       overflow-wrap: anywhere; }
body.stale main { opacity: .55; }
"""

# The server renders the page again and the script swaps its inside: there is one renderer.
SCRIPT = """
const refresh = async () => {
  try {
    const answer = await fetch(location.pathname, {cache: "no-store"});
    if (!answer.ok) throw new Error(answer.status);
    const page = await answer.text();
    // Only the inside is parsed: the page's own style has another nonce each time.
    const inside = page.slice(page.indexOf("<main"), page.indexOf("</main>") + 7);
    const fresh = new DOMParser().parseFromString(inside, "text/html").querySelector("main");
    document.querySelector("main").replaceWith(fresh);
    document.title = fresh.dataset.title;
    document.body.classList.remove("stale");
  } catch {
    document.body.classList.add("stale");
  }
  setTimeout(refresh, document.hidden ? 10000 : 2000);
};
setTimeout(refresh, 2000);
"""
