//! A document as one HTML page that needs nothing from elsewhere. Everything that comes from outside is escaped by maud.

use maud::{DOCTYPE, Markup, PreEscaped, html};

use super::document::{Block, Document, Table};
use super::words::clean;

const STYLE: &str = "
:root{color-scheme:light dark;--ink:#1c2128;--muted:#57606a;--rule:#d5dae1;--back:#fff;--bad:#b3261e;--good:#1a7f37;--unsure:#8a5a00}
@media (prefers-color-scheme:dark){:root{--ink:#e6e9ee;--muted:#a9b3c1;--rule:#303743;--back:#14181e;--bad:#ff9a94;--good:#7ddc9a;--unsure:#f2c14e}}
body{margin:0 auto;padding:24px;max-width:1100px;background:var(--back);color:var(--ink);font:15px/1.5 system-ui,sans-serif}
h1{font-size:22px;overflow-wrap:anywhere}h2{font-size:17px;margin-top:28px;overflow-wrap:anywhere}
.wide{overflow-x:auto}table{border-collapse:collapse;margin:12px 0;font-variant-numeric:tabular-nums}
th,td{padding:4px 10px;border-bottom:1px solid var(--rule);text-align:left;vertical-align:top}
th{color:var(--muted);font-weight:600}.r{text-align:right;white-space:nowrap}
.bad{color:var(--bad);font-weight:600}.good{color:var(--good);font-weight:600}.unsure{color:var(--unsure);font-weight:600}
pre{overflow-x:auto}
";

/// Renders a document as an HTML page.
pub(super) fn render(doc: &Document) -> String {
    let title = doc.blocks.iter().find_map(|block| match block {
        Block::Title { verdict, of } => Some(format!("{verdict}: {}", clean(of))),
        _ => None,
    });
    let page = html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width,initial-scale=1";
                title { (title.unwrap_or_default()) }
                style { (PreEscaped(STYLE)) }
            }
            body { @for block in &doc.blocks { (shown(block)) } }
        }
    };
    page.into_string()
}

fn shown(block: &Block) -> Markup {
    html! {
        @match block {
            Block::Title { verdict, of } => h1 { span class=[tone(verdict)] { (verdict) } " " (clean(of)) },
            Block::Heading(text) => h2 { (clean(text)) },
            Block::Paragraph(text) => p { (clean(text)) },
            Block::Facts(facts) => table {
                @for (name, value) in facts { tr { th scope="row" { (clean(name)) } td { (clean(value)) } } }
            },
            Block::Table(table) => (rows(table)),
            Block::Item { mark, text, details } => div {
                b { (clean(mark)) } " " (clean(text))
                @if !details.is_empty() { ul { @for detail in details { li { (clean(detail)) } } } }
            },
            Block::Verbatim(lines) => pre { @for line in lines { (clean(line)) "\n" } },
        }
    }
}

fn rows(table: &Table) -> Markup {
    let class = |right: bool| right.then_some("r");
    html! {
        div.wide { table {
            thead { tr { @for (title, right) in &table.columns { th scope="col" class=[class(*right)] { (clean(title)) } } } }
            tbody { @for row in &table.rows { tr {
                @for (cell, (_, right)) in row.iter().zip(&table.columns) {
                    td class=[tone(cell).or(class(*right))] { (clean(cell)) }
                }
            } } }
        } }
    }
}

/// Returns the colour of a verdict.
fn tone(word: &str) -> Option<&'static str> {
    match word.to_lowercase().as_str() {
        "worse" | "fail" => Some("bad"),
        "better" | "same" | "pass" => Some("good"),
        "cannot tell" | "inconclusive" | "aborted" => Some("unsure"),
        _ => None,
    }
}
