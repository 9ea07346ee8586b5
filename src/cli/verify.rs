//! `soakd verify`: whether a receipt is as it was written.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Read};
use std::path::PathBuf;

use super::{EXIT_CONFIG, EXIT_FAIL, EXIT_OK, state};
use crate::model::receipt::verify::{Examiner, Found};
use crate::observe::report::words::{clean, count, moment, number};

/// Exit code for a receipt that is whole and whose run had not ended.
const NOT_ENDED: u8 = 2;
/// Longest line that a receipt may have.
const LINE_BYTES_MAX: u64 = 4 * 1024 * 1024;

/// Check that a receipt is as it was written
///
/// Every cycle in a receipt of `soakd export --format receipt` has the digest of the one before it. This finds lines that were
/// edited, dropped, re-ordered, doubled or added, and names the first of them.
///
/// Whoever rewrites a receipt from some line to its end, with all digests, makes one that holds together. Give --head the
/// digest that a mail or a report of the run said, kept where the writer of the receipt cannot change it: then everything up
/// to that digest is as it was when the digest was told.
///
/// Exit status: 0 whole, 1 broken, 2 whole but the run had not ended, 64 not readable as a receipt.
#[derive(Debug, Clone, clap::Args)]
pub struct VerifyArgs {
    /// File that `soakd export --format receipt` wrote; - for the standard input
    #[arg(value_name = "RECEIPT")]
    pub receipt: PathBuf,
    /// Digest that the receipt must have, from a mail or a report
    #[arg(long, value_name = "DIGEST", value_parser = digest)]
    pub head: Option<String>,
}

fn digest(text: &str) -> Result<String, String> {
    if text.len() == 64 && text.bytes().all(|b| b.is_ascii_hexdigit()) {
        return Ok(text.to_ascii_lowercase());
    }
    Err("a digest has 64 hexadecimal digits".to_owned())
}

/// Examines the receipt and prints what was found.
pub fn run(args: VerifyArgs) -> anyhow::Result<u8> {
    let name = match args.receipt.to_str() {
        Some("-") => "the standard input".to_owned(),
        _ => args.receipt.display().to_string(),
    };
    let examined = match args.receipt.to_str() {
        Some("-") => examine(io::stdin().lock(), args.head.clone()),
        _ => File::open(&args.receipt)
            .map_err(|e| e.to_string())
            .and_then(|file| examine(BufReader::new(file), args.head.clone())),
    };
    match examined {
        Ok(found) => {
            let (text, code) = judged(&found, args.head.as_deref());
            state::print(&mut io::stdout().lock(), &text)?;
            Ok(code)
        }
        Err(why) => {
            eprintln!("soakd: cannot read {name} as a receipt: {}", clean(&why));
            Ok(EXIT_CONFIG)
        }
    }
}

/// Reads all lines, one in memory at a time.
fn examine(mut from: impl BufRead, head: Option<String>) -> Result<Found, String> {
    let mut examiner = Examiner::new(head);
    let mut line = Vec::new();
    loop {
        line.clear();
        let read = from.by_ref().take(LINE_BYTES_MAX + 1).read_until(b'\n', &mut line).map_err(|e| e.to_string())?;
        if read == 0 {
            return examiner.finish();
        }
        let ended = line.last() == Some(&b'\n');
        if !ended && read as u64 > LINE_BYTES_MAX {
            return Err(format!("a line has more than {} MiB, which no line of a receipt has", LINE_BYTES_MAX >> 20));
        }
        // Mail programs and editors may have changed the ends of lines, which says nothing about the lines.
        let text = line.strip_suffix(b"\n").unwrap_or(&line);
        examiner.line(text.strip_suffix(b"\r").unwrap_or(text), !ended)?;
    }
}

/// Returns what was found, in words, and the exit code.
fn judged(found: &Found, head: Option<&str>) -> (String, u8) {
    let mut text = String::new();
    let mut fact = |name: &str, value: String| text.push_str(&format!("{name:<8} {}\n", clean(&value)));
    if let Some(run) = &found.run {
        let word = |name: &str| run[name].as_str().unwrap_or_default().to_owned();
        let started = run["started_ms"].as_i64().map_or_else(String::new, moment);
        fact("Run", format!("{} ({}), seed {}, started {started}", word("name"), word("run"), run["seed"]));
    }
    let cycles = count(found.cycles, "cycle");
    fact(
        "Receipt",
        match &found.last {
            Some(end) if found.ended() => {
                let verdict = end["verdict"].as_str().unwrap_or("no verdict").to_uppercase();
                let because = end["ended_because"].as_str().unwrap_or("no reason is known");
                let at = end["ended_ms"].as_i64().map_or_else(String::new, moment);
                format!("{cycles}, ended {at}: {verdict} ({because})")
            }
            Some(open) => {
                let at = open["made_ms"].as_i64().map_or_else(String::new, moment);
                format!("{cycles}, written {at} while the run went on")
            }
            None => format!("{cycles}, without an end"),
        },
    );
    fact("Head", found.head.clone());
    if !found.problems.is_empty() {
        text.push_str(&broken(found));
        return (text, EXIT_FAIL);
    }
    text.push_str(match found.ended() {
        true => "Whole: every line is as it was written and follows from the one before it.\n",
        false => "Whole so far: every line is as it was written; the run had not ended.\n",
    });
    text.push_str(&match (&found.covered, head) {
        (Some((line, what)), Some(_)) if *line + 1 >= found.lines => {
            format!("The digest that was asked for is that of {what}: nothing before it was changed since that digest was told.\n")
        }
        (Some((line, what)), Some(_)) => format!(
            "The digest that was asked for is that of {what} on line {}: up to there nothing was changed since that digest was \
             told; it says nothing of the lines after it.\n",
            number(*line)
        ),
        _ => "Who rewrites all of it can make a receipt that is whole as well: compare the head with one that a mail or a \
              report said (--head).\n"
            .to_owned(),
    });
    (text, if found.ended() { EXIT_OK } else { NOT_ENDED })
}

fn broken(found: &Found) -> String {
    let all = found.problems.len() as u64 + found.problems_more;
    let mut text = format!(
        "BROKEN: {} not as soakd wrote it.\n",
        if all == 1 { "1 place is".to_owned() } else { format!("{} places are", number(all)) }
    );
    for problem in &found.problems {
        text.push_str(&format!("line {}: {}: {}\n", problem.line, problem.fault.word(), clean(&problem.text)));
    }
    if found.problems_more > 0 {
        text.push_str(&format!("and {} more\n", number(found.problems_more)));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::receipt::{open_line, run_line};
    use crate::store::tests::a_run;

    fn receipt() -> String {
        let first = run_line(&a_run("run-1", 5));
        format!("{}\n{}\n", first.text, open_line(9, 0, &first.digest).text)
    }

    fn said(text: &[u8], head: Option<&str>) -> (String, u8) {
        judged(&examine(text, head.map(str::to_owned)).unwrap(), head)
    }

    #[test]
    fn the_exit_code_says_whether_it_is_whole() {
        let whole = receipt();
        let (text, code) = said(whole.as_bytes(), None);
        assert_eq!(code, NOT_ENDED);
        assert!(text.contains("Whole so far") && text.contains("--head"), "{text}");
        let windows = whole.replace('\n', "\r\n");
        assert_eq!(said(windows.as_bytes(), None).1, NOT_ENDED);
        assert_eq!(said(whole.trim_end().as_bytes(), None).1, NOT_ENDED);
        let (text, code) = said(whole.replace("\"seed\":7", "\"seed\":8").as_bytes(), None);
        assert_eq!(code, EXIT_FAIL);
        assert!(text.contains("BROKEN: 1 place is") && text.contains("line 1: edited: "), "{text}");
        let (text, code) = said(&whole.as_bytes()[..whole.len() - 9], None);
        assert!(code == EXIT_FAIL && text.contains("cut off"), "{text}");
        for odd in [&b""[..], b"\x00\x01\n", b"hello\n", &[b'x'; LINE_BYTES_MAX as usize + 2]] {
            assert!(examine(odd, None).is_err());
        }
    }

    #[test]
    fn a_head_is_looked_for() {
        let whole = receipt();
        let head = run_line(&a_run("run-1", 5)).digest;
        let (text, code) = said(whole.as_bytes(), Some(&head));
        assert!(code == NOT_ENDED && text.contains("nothing before it was changed"), "{text}");
        let (text, code) = said(whole.as_bytes(), Some(&"0".repeat(64)));
        assert!(code == EXIT_FAIL && text.contains("another head"), "{text}");
        assert_eq!(digest(&head.to_uppercase()), Ok(head));
        assert!(digest("12").is_err());
    }
}
