//! The HTML part: one column, nothing from elsewhere, readable in light and dark. Colours stand in the elements for programs
//! that drop the style block, and again in the block for those that know which scheme the reader wants.

use maud::{DOCTYPE, Markup, PreEscaped, html};

use super::page::{Block, Page, Table, Tone};

/// What elements cannot say for themselves: the dark scheme, and narrow windows.
const STYLE: &str = "
:root{color-scheme:light dark;supported-color-schemes:light dark}
body{margin:0;padding:0;-webkit-text-size-adjust:100%}
.v{overflow-wrap:anywhere;word-break:break-word;unicode-bidi:isolate}
@media (max-width:480px){.pad{padding-left:16px!important;padding-right:16px!important}
.facts,.facts tbody,.facts tr,.facts td{display:block!important;width:auto!important}.facts td{padding-bottom:0!important}
.facts td+td{padding:0 0 6px!important}}
@media (prefers-color-scheme:dark){.page{background:#0e1116!important;color:#e6e9ee!important}
.card{background:#181c23!important;border-color:#303743!important}
.h,.v{color:#e6e9ee!important}.m{color:#a9b3c1!important}.rule{border-color:#303743!important}
.code{background:#0f1319!important;border-color:#303743!important}
.chart{border-color:#303743!important;filter:invert(.9) hue-rotate(180deg)}
.bad{background:#ff9a94!important;color:#2b0507!important}.unsure{background:#f2c14e!important;color:#2a1f00!important}
.good{background:#7ddc9a!important;color:#04210e!important}.plain{background:#a9b3c1!important;color:#11151b!important}}
";
const FONT: &str = "font-family:-apple-system,'Segoe UI',Roboto,'Helvetica Neue',Arial,sans-serif;";
const MONO: &str = "font-family:ui-monospace,'SF Mono',Menlo,Consolas,'DejaVu Sans Mono',monospace;";
const TEXT: &str = "color:#1c2128;";
const MUTED: &str = "color:#57606a;";
const BREAK: &str = "overflow-wrap:anywhere;word-break:break-word;";

/// Renders a page as an HTML document; pictures are named by content id.
pub(super) fn render(page: &Page, preheader: &str) -> String {
    let (class, back) = badge(page.tone);
    html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width,initial-scale=1";
                meta name="color-scheme" content="light dark";
                meta name="supported-color-schemes" content="light dark";
                title { (page.badge) ": " (page.title) }
                style { (PreEscaped(STYLE)) }
            }
            body.page style={ "margin:0;padding:0;background:#eef0f3;" (TEXT) (FONT) } {
                div style="display:none;max-height:0;overflow:hidden;font-size:1px;line-height:1px;opacity:0" { (preheader) }
                table.page role="presentation" width="100%" cellpadding="0" cellspacing="0" style="background:#eef0f3" {
                    tr { td align="center" style="padding:16px 8px" {
                        table.card role="presentation" width="100%" cellpadding="0" cellspacing="0"
                            style="max-width:640px;background:#ffffff;border:1px solid #d5dae1;border-radius:10px;table-layout:fixed" {
                            tr { td.pad align="left" style={ "padding:24px 28px 28px;font-size:15px;line-height:1.5;" (TEXT) } {
                                span class=(class) style={ "display:inline-block;padding:3px 11px;border-radius:5px;font-size:13px;\
                                    font-weight:700;letter-spacing:.4px;" (back) } { (page.badge) }
                                h1.h.v style={ "margin:12px 0 6px;font-size:22px;line-height:1.3;font-weight:700;" (TEXT) (BREAK) } { (page.title) }
                                p.m.v style={ "margin:0 0 4px;font-size:14px;" (MUTED) (BREAK) } { (page.lead) }
                                @for block in &page.blocks { (shown(block)) }
                            } }
                        }
                    } }
                }
            }
        }
    }
    .into_string()
}

fn badge(tone: Tone) -> (&'static str, &'static str) {
    match tone {
        Tone::Bad => ("bad", "background:#b3121d;color:#ffffff;"),
        Tone::Unsure => ("unsure", "background:#7a5200;color:#ffffff;"),
        Tone::Good => ("good", "background:#17693a;color:#ffffff;"),
        Tone::Plain => ("plain", "background:#49525e;color:#ffffff;"),
    }
}

fn shown(block: &Block) -> Markup {
    match block {
        Block::Heading(text) => html! {
            h2.h.rule style={ "margin:26px 0 10px;padding-top:18px;border-top:1px solid #e1e4e8;font-size:16px;line-height:1.3;\
                font-weight:700;" (TEXT) } { (text) }
        },
        Block::Paragraph(text) => html! { p.v style={ "margin:0 0 10px;" (TEXT) (BREAK) } { (text) } },
        Block::Facts(facts) => html! {
            table.facts role="presentation" width="100%" cellpadding="0" cellspacing="0" style="font-size:14px;margin:0 0 10px" {
                @for (name, value) in facts {
                    tr {
                        td.m width="132" valign="top" style={ "padding:3px 14px 3px 0;" (MUTED) } { (name) }
                        td.v valign="top" style={ "padding:3px 0;" (TEXT) (BREAK) } { (value) }
                    }
                }
            }
        },
        Block::List(lines) => html! {
            ul style="margin:0 0 10px;padding-left:20px" {
                @for text in lines { li.v style={ "margin:0 0 5px;" (BREAK) } { (text) } }
            }
        },
        Block::Steps(lines) => html! {
            ol style="margin:0 0 10px;padding-left:22px" {
                @for text in lines { li.v style={ "margin:0 0 6px;" (BREAK) } { (text) } }
            }
        },
        Block::Table(table) => tabled(table),
        Block::Verbatim(lines) => html! {
            div.code.rule.v style={ "margin:0 0 12px;padding:10px 12px;background:#f5f7f9;border:1px solid #e1e4e8;border-radius:6px;\
                font-size:12.5px;line-height:1.5;white-space:pre-wrap;" (TEXT) (MONO) (BREAK) } {
                @for text in lines {
                    // Lines hang, so that one that goes on is told from the next one.
                    div style="padding-left:14px;text-indent:-14px" { (text) }
                }
            }
        },
        Block::Chart { cid, caption, alt } => html! {
            p.h style={ "margin:14px 0 6px;font-size:14px;font-weight:700;" (TEXT) } { (caption) }
            img.chart.rule src={ "cid:" (cid) } alt=(alt) width="582"
                style="display:block;width:100%;max-width:582px;height:auto;border:1px solid #e1e4e8;border-radius:6px";
        },
    }
}

fn tabled(table: &Table) -> Markup {
    let align = |at: usize| if table.columns[at].1 { "right" } else { "left" };
    html! {
        table width="100%" cellpadding="0" cellspacing="0" style="font-size:13.5px;margin:0 0 12px;border-collapse:collapse" {
            tr {
                @for (at, (title, _)) in table.columns.iter().enumerate() {
                    th.m.rule align=(align(at)) style={ "padding:4px 12px 4px 0;border-bottom:1px solid #e1e4e8;font-weight:600;" (MUTED) } { (title) }
                }
            }
            @for row in &table.rows {
                tr {
                    @for (at, cell) in row.iter().enumerate().take(table.columns.len()) {
                        td.v.rule align=(align(at)) valign="top" style="padding:5px 12px 5px 0;border-bottom:1px solid #e1e4e8" { (cell) }
                    }
                }
            }
        }
    }
}
